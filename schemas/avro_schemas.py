"""The Avro schemas of this package, as fastavro wants them. Read from package data."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from fastavro import parse_schema

EVENT_NAMES = (
    "SyncFailed",
    "SyncResolved",
    "SyncProgress",
    "ReplayRequest",
    "ResolvedBundle",
    "ReplayBundle",
)


@cache
def schema_text(name: str, version: int | None = None) -> str:
    """Return the text of a schema ("SyncFailed"): the current one, or that of an earlier version of the contract."""
    folder = files("schemas").joinpath("avsc")
    if version is not None:
        folder = folder.joinpath("history", str(version))
    return folder.joinpath(f"{name}.avsc").read_text("utf-8")


@cache
def versions(name: str | None = None) -> tuple[int, ...]:
    """Return the versions of the contract that were ever in use, or that had a schema; oldest first, the last one is the current."""
    history = files("schemas").joinpath("avsc", "history")
    having = (each for each in history.iterdir() if name is None or each.joinpath(f"{name}.avsc").is_file())
    return tuple(sorted(int(each.name) for each in having))


def parse_plain(text: str) -> Any:
    """Return a parsed schema without logical types: fastavro then leaves numbers and bytes as they are.

    Raises what fastavro raises for a text that is no Avro schema.
    """
    return parse_schema(_without_logical_types(json.loads(text)), named_schemas={})


def parse_logical(text: str) -> Any:
    """Return a parsed schema as it is, with logical types; raises what fastavro raises for a text that is no Avro schema."""
    return parse_schema(json.loads(text), named_schemas={})


def _without_logical_types(schema: Any) -> Any:
    match schema:
        case dict():
            return {key: _without_logical_types(part) for key, part in schema.items() if key != "logicalType"}
        case list():
            return [_without_logical_types(part) for part in schema]
        case _:
            return schema
