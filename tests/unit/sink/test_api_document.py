"""The OpenAPI document of the API, and the page that is made from it."""

from pathlib import Path
from typing import Any

import pytest

from sink.web.api.document import ApiApp, operations
from sink.web.api.page import api_page

DOCUMENT = ApiApp().openapi()
OPERATIONS = [pytest.param(each[2], id=f"{each[1]} {each[0]}") for each in operations(DOCUMENT)]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation_says_what_it_does_and_for_whom(operation: dict[str, Any]) -> None:
    assert operation["summary"][0].isupper()
    assert operation["x-role"] in operation["description"]
    assert operation["responses"].keys() >= {"401", "403"}


def test_every_form_that_is_named_is_there() -> None:
    def named(part: object) -> set[str]:
        match part:
            case {"$ref": str(reference)}:
                return {reference.rpartition("/")[2]}
            case dict():
                return {each for value in part.values() for each in named(value)}
            case list():
                return {each for value in part for each in named(value)}
            case _:
                return set()

    assert named(DOCUMENT) <= DOCUMENT["components"]["schemas"].keys()


def test_no_two_operations_have_one_id() -> None:
    ids = [operation["operationId"] for _, _, operation in operations(DOCUMENT)]
    assert len(set(ids)) == len(ids)


def test_page_is_up_to_date() -> None:
    page = Path(__file__).parents[3] / "docs" / "api.md"
    assert page.read_text(encoding="utf-8") == api_page(), "run `make docs`"
