import json
from pathlib import Path

import pytest

from schemas.config.model import Config, config_schema
from schemas.config.page import configuration_page

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text(encoding="utf-8") == configuration_page(), "run: make docs"


def test_every_key_is_described() -> None:
    rows = [line for line in configuration_page().splitlines() if line.startswith("| `")]

    assert len(rows) > 60
    assert [row for row in rows if row.endswith("|  |")] == []


def test_the_schema_for_editors_lets_what_is_filled_in_be_left_out() -> None:
    schema = config_schema()

    assert schema["required"] == ["kafka", "apps", "mappings"]
    assert "required" not in schema["$defs"]["SinkConfig"]


def test_the_schema_for_editors_hides_no_default_behind_stars() -> None:
    assert "***" not in json.dumps(config_schema())


@pytest.mark.parametrize("name", sorted(Config.model_fields))
def test_the_schema_for_editors_has_every_part(name: str) -> None:
    assert name in config_schema()["properties"]
