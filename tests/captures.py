"""The real change events in tests/data/debezium, as a consumer gets them."""

import base64
import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DATA = Path(__file__).parent / "data" / "debezium"
CAPTURES = ("debezium-json.jsonl", "debezium-json-schema.jsonl", "debezium-avro.jsonl")


@dataclass(frozen=True, slots=True)
class Captured:
    """One record of a capture."""

    table: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


@cache
def captured(name: str) -> tuple[Captured, ...]:
    """Return the records of a capture, in order within each partition."""
    to_bytes: Callable[[str], bytes] = base64.b64decode if "avro" in name else str.encode
    lines = map(json.loads, (DATA / name).read_text("utf-8").splitlines())
    return tuple(
        Captured(
            table=line["topic"].rpartition(".")[2],
            key=None if line["key"] is None else to_bytes(line["key"]),
            value=None if line["value"] is None else to_bytes(line["value"]),
            headers=tuple((name, text.encode()) for name, text in line["headers"]),
        )
        for line in lines
    )


@cache
def _schemas() -> dict[int, str]:
    loaded = json.loads((DATA / "debezium-avro-schemas.json").read_text("utf-8"))
    return {int(schema_id): json.dumps(schema) for schema_id, schema in loaded.items()}


def find_schema(schema_id: object) -> str | None:
    """Stand for the registry that the capture's schemas are in."""
    return _schemas().get(schema_id) if isinstance(schema_id, int) else None


def expected(table: str) -> list[dict[str, str]]:
    """Return the source table after the capture, as PostgreSQL shows it; null is `\\N`."""
    with (DATA / f"expected_{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
