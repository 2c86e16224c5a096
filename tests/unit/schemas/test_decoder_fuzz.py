"""No bytes make the Decoder raise, and none of the exact values' readers raise anything but ValueError."""

import json
from functools import cache
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.change import Decoded, Ignored, RecordChange, Tombstone, Undecodable
from schemas.decoder import Decoder
from tests.captures import CAPTURES, captured, find_schema

CODES = {"undecodable", "unknown_schema", "unknown_operation", "too_large"}


@cache
def values() -> list[bytes]:
    return [each.value for name in CAPTURES for each in captured(name) if each.value is not None]


@cache
def keys() -> list[bytes]:
    return [each.key for name in CAPTURES for each in captured(name) if each.key is not None]


DECODER = Decoder(find_schema)


def check(value: bytes) -> None:
    """Decode bytes and read every value of the row, as a mapping would."""
    decoded: Decoded = DECODER(None, value, ())
    match decoded:
        case RecordChange(before=before, after=after, shape=shape):
            row = before if after is None else after
            if row is None:
                assert shape.names == ()
                return
            for name in shape.names:
                read_one(row[name], shape.readers.get(name))
        case Undecodable(code=code):
            assert code in CODES
        case _:
            assert isinstance(decoded, Ignored | Tombstone)


def read_one(value: Any, reader: Any) -> None:
    try:
        if reader is not None and value is not None:
            reader(value)
    except ValueError:
        pass


@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    check(data)
    DECODER.key_fields(data)


@given(st.integers(0, 10), st.binary(max_size=200))
def test_random_bytes_after_the_id_of_a_known_schema(schema_id: int, data: bytes) -> None:
    check(bytes((0, 0, 0, 0, schema_id)) + data)


@given(st.data())
def test_a_real_message_cut_short(data: st.DataObject) -> None:
    value = data.draw(st.sampled_from(values()))
    size = data.draw(st.integers(0, len(value) - 1))
    decoded = DECODER(None, value[:size], ())
    assert isinstance(decoded, Undecodable)


@given(st.data())
def test_a_real_message_with_some_bytes_changed(data: st.DataObject) -> None:
    value = bytearray(data.draw(st.sampled_from(values())))
    for _ in range(data.draw(st.integers(1, 4))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(value))


@given(st.data())
def test_a_real_key_with_some_bytes_changed(data: st.DataObject) -> None:
    key = bytearray(data.draw(st.sampled_from(keys())))
    key[data.draw(st.integers(0, len(key) - 1))] = data.draw(st.integers(0, 255))
    DECODER.key_fields(bytes(key))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["before", "after", "op", "source", "ts_ms", "__op", "__deleted", "schema", "payload", "a"]
)
OPS = st.sampled_from(["c", "u", "d", "r", "t", "m", "x"])


@given(st.dictionaries(NAMES, JSON | OPS, max_size=8))
def test_any_json_with_the_names_of_an_event(document: dict[str, Any]) -> None:
    check(json.dumps(document).encode())


LOGICAL = st.sampled_from(
    [
        "org.apache.kafka.connect.data.Decimal",
        "io.debezium.time.Date",
        "io.debezium.time.ZonedTimestamp",
        "io.debezium.data.Bits",
        "io.debezium.data.Uuid",
        "io.debezium.time.StructuredDate",
    ]
)
SCHEMAS = st.recursive(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["int32", "int64", "double", "boolean", "string", "bytes", "odd"])},
        optional={
            "name": LOGICAL,
            "parameters": st.dictionaries(st.sampled_from(["scale", "length"]), st.sampled_from(["2", "x"])),
        },
    ),
    lambda inner: (
        st.fixed_dictionaries({"type": st.just("array"), "items": inner})
        | st.fixed_dictionaries({"type": st.just("map"), "keys": inner, "values": inner})
    ),
    max_leaves=4,
)


@given(SCHEMAS, JSON)
def test_any_value_under_any_schema(schema: dict[str, Any], value: Any) -> None:
    row = {"type": "struct", "fields": [{**schema, "field": "a"}]}
    fields = [{**row, "field": "after"}, {"type": "string", "field": "op"}]
    message = {"schema": {"type": "struct", "fields": fields}, "payload": {"op": "u", "after": {"a": value}}}
    check(json.dumps(message, separators=(",", ":")).encode())


AVRO_NAMES = st.sampled_from(
    ["type", "name", "fields", "items", "values", "symbols", "size", "default", "logicalType"]
)
AVRO_WORDS = st.sampled_from(
    ["record", "array", "map", "enum", "fixed", "null", "long", "string", "bytes", "R"]
)
AVRO_SCHEMAS = st.recursive(
    AVRO_WORDS | st.none() | st.integers(-1, 2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(AVRO_NAMES, inner, max_size=5),
    max_leaves=12,
)


@given(AVRO_SCHEMAS, st.binary(max_size=30))
@example({"type": "fixed", "name": "F", "size": None}, b"")
@example({"type": "enum", "name": "E", "symbols": None}, b"")
def test_any_json_as_avro_schema(schema: Any, data: bytes) -> None:
    decoder = Decoder(lambda _: json.dumps(schema))
    decoder(None, bytes(5) + data, ())
    decoder.key_fields(bytes(5) + data)


@pytest.mark.parametrize("name", CAPTURES)
def test_captures_in_turn_do_not_disturb_each_other(name: str) -> None:
    alone = Decoder(find_schema)
    for record in captured(name):
        ours, theirs = DECODER(record.key, record.value, ()), alone(record.key, record.value, ())
        if isinstance(ours, RecordChange):
            assert isinstance(theirs, RecordChange)
            assert ours.after == theirs.after
        else:
            assert ours == theirs
