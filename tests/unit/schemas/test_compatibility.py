"""No edit of a schema that an older reader or writer could not live with.

To change a schema: copy schemas/avsc/history/<newest> to the next number, edit it there and in schemas/avsc alike, and add
its fingerprints below.
"""

import json
from itertools import product
from typing import Any

import pytest

from schemas.avro_schemas import EVENT_NAMES, parse_plain, schema_text, versions
from schemas.framing import single_object_prefix
from tests.unit.schemas.compatibility import breaks

NAMES = ("RecordChange", "TypedRecordChange", *EVENT_NAMES)

# What is in use is never edited: messages and registries hold these fingerprints.
IN_USE = {
    1: {
        "RecordChange": "9bb2a20d31e97115",
        "TypedRecordChange": "a5aec878c9100bdc",
        "SyncFailed": "e04f37b5eade8916",
        "SyncResolved": "f7a4368ec83e61cf",
        "SyncProgress": "e0d6d81e9de3cbdd",
        "ReplayRequest": "3690491ed00ec356",
    },
    2: {
        "RecordChange": "9bb2a20d31e97115",
        "TypedRecordChange": "a5aec878c9100bdc",
        "SyncFailed": "e04f37b5eade8916",
        "SyncResolved": "f7a4368ec83e61cf",
        "SyncProgress": "e0d6d81e9de3cbdd",
        "ReplayRequest": "cbf4f0d141bd5a27",
    },
    3: {
        "RecordChange": "9bb2a20d31e97115",
        "TypedRecordChange": "a5aec878c9100bdc",
        "SyncFailed": "e04f37b5eade8916",
        "SyncResolved": "f7a4368ec83e61cf",
        "SyncProgress": "e0d6d81e9de3cbdd",
        "ReplayRequest": "cbf4f0d141bd5a27",
        "ResolvedBundle": "bd8490392130048d",
        "ReplayBundle": "ef6a9132f1de5e3c",
    },
}
PAIRS = [
    (name, writer, reader) for name in NAMES for writer, reader in product(versions(name), versions(name))
]


@pytest.mark.parametrize("name", NAMES)
def test_the_current_schema_is_the_newest_in_the_history(name: str) -> None:
    assert json.loads(schema_text(name)) == json.loads(schema_text(name, versions()[-1]))


@pytest.mark.parametrize("version", versions())
def test_a_schema_in_use_is_not_edited(version: int) -> None:
    found = {
        name: single_object_prefix(parse_plain(schema_text(name, version)))[2:].hex()
        for name in NAMES
        if version in versions(name)
    }
    assert found == IN_USE[version]


@pytest.mark.parametrize(("name", "writer", "reader"), PAIRS)
def test_every_version_reads_what_every_other_writes(name: str, writer: int, reader: int) -> None:
    assert breaks(schema_text(name, writer), schema_text(name, reader)) is None


def test_logical_types_do_not_change() -> None:
    for name, older, newer in PAIRS:
        shared = (
            _logical_types(schema_text(name, older)).items()
            & _logical_types(schema_text(name, newer)).items()
        )
        assert {path for path, _ in shared} >= (
            _logical_types(schema_text(name, older)).keys() & _logical_types(schema_text(name, newer)).keys()
        )


def _logical_types(text: str) -> dict[str, str]:
    found: dict[str, str] = {}

    def walk(schema: Any, path: str) -> None:
        match schema:
            case {"logicalType": kind}:
                found[path] = kind
            case dict():
                for key, part in schema.items():
                    walk(part, f"{path}/{key}")
            case list():
                for number, part in enumerate(schema):
                    walk(part, f"{path}/{part.get('name', number) if isinstance(part, dict) else number}")

    walk(json.loads(text), "")
    return found


def edited(name: str, field: str, /, **changes: Any) -> str:
    schema = json.loads(schema_text(name))
    for each in schema["fields"]:
        if each["name"] == field:
            each.update(changes)
    return json.dumps(schema)


def without(name: str, field: str) -> str:
    schema = json.loads(schema_text(name))
    schema["fields"] = [each for each in schema["fields"] if each["name"] != field]
    return json.dumps(schema)


def with_field(name: str, /, **field: Any) -> str:
    schema = json.loads(schema_text(name))
    schema["fields"].append(field)
    return json.dumps(schema)


REFUSED = {
    "a field is gone that older readers need": without("SyncFailed", "failure_id"),
    "a new field without a default": with_field("SyncFailed", name="mood", type="string"),
    "a field has another name": edited("SyncFailed", "code", name="error"),
    "a field has another type": edited("SyncFailed", "code", type="long"),
    "a number became smaller": edited("SyncProgress", "lag_records", type=["null", "int"]),
    "a number became larger": edited("SyncFailed", "attempt", type="long"),
    "null is no longer allowed": edited("SyncFailed", "trace", type="string", default=""),
    "null is allowed now": edited("SyncFailed", "code", type=["null", "string"]),
    "an operation more": edited(
        "RecordChange",
        "op",
        type={"type": "enum", "name": "Op", "symbols": ["create", "update", "delete", "snapshot", "x"]},
    ),
    "an operation less": edited(
        "RecordChange", "op", type={"type": "enum", "name": "Op", "symbols": ["create"]}
    ),
    "another name of the event": schema_text("SyncFailed").replace('"SyncFailed"', '"SyncBroken"'),
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_an_edit_that_others_could_not_live_with_is_found(text: str) -> None:
    current = schema_text(json.loads(text)["name"].replace("SyncBroken", "SyncFailed"))
    assert breaks(text, current) or breaks(current, text)


def test_an_edit_that_others_can_live_with_passes() -> None:
    text = with_field("SyncFailed", name="mood", type=["null", "string"], default=None)
    assert breaks(text, schema_text("SyncFailed")) is None
    assert breaks(schema_text("SyncFailed"), text) is None
