"""Avro's binary encoding, compared with fastavro for schemas and values of every type."""

import io
import json
import math
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from schemas.wire.avro_values import FAULTS, value_reader

LONGS = st.integers(-(2**63), 2**63 - 1)
PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": LONGS,
    "float": st.floats(width=32, allow_nan=False),
    "double": st.floats(allow_nan=False),
    "bytes": st.binary(max_size=100),
    "string": st.text(max_size=100),
}

Typed = tuple[Any, st.SearchStrategy[Any]]


def plain(name: str) -> Typed:
    return name, PLAIN[name]


def array_of(item: Typed) -> Typed:
    return {"type": "array", "items": item[0]}, st.lists(item[1], max_size=3)


def map_of(item: Typed) -> Typed:
    return {"type": "map", "values": item[0]}, st.dictionaries(st.text(max_size=3), item[1], max_size=3)


def optional(item: Typed, first: bool) -> Typed:
    schema, value = item
    if schema == "null" or isinstance(schema, list):
        return item
    return (["null", schema] if first else [schema, "null"]), value | st.none()


def record_of(fields: list[Typed]) -> Typed:
    names = [f"f{i}" for i in range(len(fields))]
    listed = [{"name": name, "type": schema} for name, (schema, _) in zip(names, fields, strict=True)]
    values = {name: value for name, (_, value) in zip(names, fields, strict=True)}
    name = f"R{abs(hash(json.dumps(listed)))}"
    return {"type": "record", "name": name, "fields": listed}, st.fixed_dictionaries(values)


TYPES = st.recursive(
    st.sampled_from(sorted(PLAIN)).map(plain),
    lambda inner: st.one_of(
        inner.filter(lambda item: item[0] != "null").map(array_of),  # those of no bytes are refused
        inner.map(map_of),
        st.builds(optional, inner, st.booleans()),
    ),
    max_leaves=4,
)


def encode(schema: Any, value: Any) -> bytes:
    stream = io.BytesIO()
    schemaless_writer(stream, schema, value)
    return stream.getvalue()


@given(st.data())
def test_values_are_read_as_fastavro_reads_them(data: st.DataObject) -> None:
    schema, values = record_of(data.draw(st.lists(TYPES, max_size=5)))
    parsed = parse_schema(schema, named_schemas={})
    encoded = encode(parsed, data.draw(values))
    assert value_reader(parsed)(encoded) == schemaless_reader(io.BytesIO(encoded), parsed, None)


@given(st.data())
def test_wanted_fields_are_read_and_the_others_skipped(data: st.DataObject) -> None:
    schema, values = record_of(data.draw(st.lists(TYPES, min_size=1, max_size=5)))
    parsed = parse_schema(schema, named_schemas={})
    value = data.draw(values)
    wanted = data.draw(st.sets(st.sampled_from(sorted(value))))
    read = value_reader(parsed, dict.fromkeys(wanted))(encode(parsed, value))
    whole = value_reader(parsed)(encode(parsed, value))
    assert read == {name: whole[name] for name in wanted}


@given(st.data())
def test_bytes_cut_short_are_a_fault(data: st.DataObject) -> None:
    schema, values = record_of([*data.draw(st.lists(TYPES, max_size=4)), plain("string")])
    parsed = parse_schema(schema, named_schemas={})
    encoded = encode(parsed, data.draw(values))
    with pytest.raises(FAULTS):
        value_reader(parsed)(encoded[: data.draw(st.integers(0, len(encoded) - 1))])


ENUM = {"type": "enum", "name": "E", "symbols": ["a", "b"]}
FIXED = {"type": "fixed", "name": "F", "size": 3}
LINKED = {
    "type": "record",
    "name": "Linked",
    "fields": [{"name": "value", "type": "long"}, {"name": "next", "type": ["null", "Linked"]}],
}
TWICE = {
    "type": "record",
    "name": "Twice",
    "namespace": "n",
    "fields": [
        {"name": "a", "type": ["null", {**LINKED, "name": "Row"}]},
        {"name": "b", "type": ["null", "Row"]},
    ],
}
TWICE["fields"][0]["type"][1] = {"type": "record", "name": "Row", "fields": [{"name": "x", "type": ENUM}]}  # type: ignore[index]  # a literal


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (ENUM, "b"),
        (FIXED, b"abc"),
        (LINKED, {"value": 1, "next": {"value": -2, "next": None}}),
        (TWICE, {"a": {"x": "a"}, "b": {"x": "b"}}),
        (["null", "long", "string"], "x"),
        (["null", "long", "string"], -5),
        ({"type": "array", "items": ["null", FIXED]}, [None, b"abc"]),
        ("string", "é" * 63),
        ("string", "é" * 64),
        ("bytes", b"x" * 10_000),
        ("double", math.inf),
    ],
)
def test_a_value_comes_back(schema: Any, value: Any) -> None:
    parsed = parse_schema(schema, named_schemas={})
    assert value_reader(parsed)(encode(parsed, value)) == value


@given(st.lists(st.lists(st.integers(-3, 3), max_size=3), max_size=8))
def test_arrays_that_are_made_of_records_are_each_their_own(several: list[list[int]]) -> None:
    pair = {"type": "record", "name": "Pair", "fields": [{"name": "a", "type": "long"}]}
    parsed = parse_schema({"type": "array", "items": pair}, named_schemas={})
    read = value_reader(parsed, make={"Pair": tuple, "Pair[]": tuple})
    for numbers in several:
        found = read(encode(parsed, [{"a": number} for number in numbers]))
        assert found == tuple((number,) for number in numbers)


def test_array_that_is_cut_short_is_a_fault_though_the_one_before_was_whole() -> None:
    pair = {"type": "record", "name": "Pair", "fields": [{"name": "a", "type": "long"}]}
    parsed = parse_schema({"type": "array", "items": pair}, named_schemas={})
    read, whole = value_reader(parsed, make={"Pair": tuple, "Pair[]": tuple}), encode(parsed, [{"a": 7}])
    assert read(whole) == read(whole) == ((7,),)
    for cut in (whole[:-1], whole[:1], b""):
        with pytest.raises(FAULTS):
            read(cut)


def test_a_record_is_skipped_inside_another() -> None:
    parsed = parse_schema(TWICE, named_schemas={})
    encoded = encode(parsed, {"a": {"x": "a"}, "b": {"x": "b"}})
    assert value_reader(parsed, {"b": None})(encoded) == {"b": {"x": "b"}}


def test_named_types_of_a_union_are_told_where_asked() -> None:
    schema = {"type": "array", "items": ["null", "long", ENUM, FIXED]}
    parsed = parse_schema(schema, named_schemas={})
    encoded = encode(parsed, [5, "b", b"abc", None])
    assert value_reader(parsed, named=True)(encoded) == [5, ("E", "b"), ("F", b"abc"), None]


def test_not_a_number_is_read() -> None:
    assert math.isnan(value_reader("double")(encode("double", math.nan)))


@pytest.mark.parametrize(
    ("schema", "data"),
    [
        ("boolean", b"\x02"),
        ("long", b"\xff" * 11 + b"\x00"),
        ("string", b"\x01"),
        ("string", b"\x04\xff\xfe"),
        ("bytes", b"\xff\xff\xff\xff\x0f"),
        (["null", "long"], b"\x04\x00"),
        (["null", "long"], b"\x01\x00"),
        (["null", "long", "string"], b"\x01\x00"),
        (["null", "long", "string"], b"\x06\x00"),
        (ENUM, b"\x04"),
        (ENUM, b"\x01"),
        (FIXED, b"ab"),
        ("double", b"\x00" * 7),
        ({"type": "array", "items": "null"}, b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f"),
        ({"type": "array", "items": "null"}, b"\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x00"),
        ({"type": "map", "values": "long"}, b"\x02\x02"),
        ("long", b"\x00\x00"),
        (LINKED, b"\x00\x02" * 100_000),
    ],
)
def test_wrong_bytes_are_a_fault(schema: Any, data: bytes) -> None:
    with pytest.raises(FAULTS):
        value_reader(parse_schema(schema, named_schemas={}))(data)


def test_blocks_that_tell_their_size_are_read() -> None:
    # a negative count: two items, in two bytes
    assert value_reader({"type": "array", "items": "long"})(b"\x03\x04\x02\x04\x00") == [1, 2]


WHEN = {"type": "long", "logicalType": "when"}
MADE = {
    "type": "record",
    "name": "Made",
    "fields": [
        {"name": "at", "type": WHEN},
        {"name": "until", "type": ["null", WHEN]},
        {"name": "others", "type": {"type": "array", "items": WHEN}},
        {"name": "inner", "type": {"type": "record", "name": "Inner", "fields": [{"name": "n", "type": "int"}]}},
        {"name": "again", "type": ["null", "Inner"]},
        {"name": "plain", "type": {"type": "long", "logicalType": "other"}},
    ],
}  # fmt: skip


def test_records_and_logical_types_become_what_is_made_of_them() -> None:
    parsed = parse_schema(MADE, named_schemas={})
    value = {"at": 1, "until": 2, "others": [3, 4], "inner": {"n": 5}, "again": {"n": 6}, "plain": 7}
    read = value_reader(parsed, make={"Made": lambda *values: values, "Inner": str, "when": hex})
    assert read(encode(parsed, value)) == ("0x1", "0x2", ["0x3", "0x4"], "5", "6", 7)


def test_what_making_raises_passes() -> None:
    parsed = parse_schema(MADE, named_schemas={})
    encoded = encode(
        parsed, {"at": 1, "until": None, "others": [], "inner": {"n": 5}, "again": None, "plain": 7}
    )

    def refuse(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        value_reader(parsed, make={"Inner": refuse})(encoded)
