import datetime as dt
import json
from decimal import Decimal
from io import BytesIO
from typing import Any
from uuid import UUID

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro_schemas import parse_plain, schema_text
from schemas.change import FarDate, FarTimestamp, Kind, Op, RecordChange, Unbounded
from schemas.decoder import Decoder
from schemas.framing import confluent_prefix, single_object_prefix
from schemas.publish import Change, FieldType, TypedEncoder, encode_change, message_key, typed_schema
from schemas.typed_values import from_typed, integer_bytes

SELF_CONTAINED = parse_plain(schema_text("RecordChange"))

scalars = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=10),
    st.binary(max_size=10),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.dates(),
    st.integers(2_932_897, 2**31 - 1).map(FarDate),
    st.times(),
    st.datetimes(),
    st.datetimes(timezones=st.just(dt.UTC)),
    st.builds(FarTimestamp, st.integers(2**60, 2**63 - 1), st.booleans()),
    st.sampled_from(Unbounded),
    st.timedeltas(dt.timedelta(microseconds=-(2**63)), dt.timedelta(microseconds=2**63 - 1)),
    st.uuids(),
)
values = st.none() | scalars | st.lists(st.none() | scalars, max_size=3)
rows = st.dictionaries(st.text(max_size=10), values, max_size=5)


def change(**parts: Any) -> Change:
    defaults: dict[str, Any] = {
        "event_id": "1",
        "app": "erp",
        "entity": "customers",
        "record_id": "C1",
        "op": Op.UPDATE,
    }
    return Change(**defaults | parts)


def read(data: bytes) -> dict[str, Any]:
    assert data[:10] == single_object_prefix(SELF_CONTAINED)
    found: Any = fastavro.schemaless_reader(BytesIO(data[10:]), SELF_CONTAINED, None, return_named_type=True)
    return dict(found)


def row_of(data: bytes, side: str = "after") -> dict[str, Any]:
    return {name: from_typed(value) for name, value in read(data)[side].items()}


def alike(value: Any) -> Any:
    """A value with its type, which == does not ask for."""
    if isinstance(value, list):
        return [alike(each) for each in value]
    return (type(value), value.as_tuple() if isinstance(value, Decimal) else value)


@given(rows)
def test_every_value_comes_back_with_its_type(row: dict[str, Any]) -> None:
    found = row_of(encode_change(change(before=row, after=row)))
    assert {name: alike(value) for name, value in found.items()} == {
        name: alike(value) for name, value in row.items()
    }


def test_json_travels_as_its_text() -> None:
    row = {"tags": {"a": [1]}, "grid": [[1, 2], [3]]}
    assert row_of(encode_change(change(after=row))) == {"tags": '{"a":[1]}', "grid": "[[1,2],[3]]"}


def test_a_decimal_that_is_no_number_travels_as_the_float_that_is_none() -> None:
    assert row_of(encode_change(change(after={"rate": Decimal("-Infinity")}))) == {"rate": float("-inf")}


def test_what_else_is_known_of_a_change_travels_too() -> None:
    at = dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC)
    data = encode_change(
        change(version=3, changed_at=at, origin="ann", changed_fields=["name"], tenant="acme")
    )
    found = {"op": "update", "version": 3, "changed_at": 1_000_000, "origin": "ann"}
    found |= {"changed_fields": ["name"], "tenant": "acme", "before": None, "after": None}
    assert found.items() <= read(data).items()


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, dt.time(1, tzinfo=dt.UTC), {"a": object()}, Decimal("1E+200000")]
)
def test_a_value_without_an_exact_form_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        encode_change(change(after={"x": value}))


def test_a_changed_at_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        encode_change(change(changed_at=dt.datetime(2026, 1, 1)))  # noqa: DTZ001  what is refused


def exact(data: bytes, schemas: dict[int, str]) -> dict[str, Any]:
    """The row of a change as the worker reads it."""
    decoded = Decoder(schemas.get)(None, data, ())
    assert isinstance(decoded, RecordChange)
    assert decoded.after is not None
    readers = decoded.shape.readers
    return {
        name: readers[name](value) if name in readers and value is not None else value
        for name, value in decoded.after.items()
    }


@given(rows)
def test_the_worker_reads_every_value_as_it_was(row: dict[str, Any]) -> None:
    found = exact(encode_change(change(after=row)), {})
    assert {name: alike(value) for name, value in found.items()} == {
        name: alike(value) for name, value in row.items()
    }


FIELDS = {
    "number": FieldType(Kind.TEXT, nullable=False),
    "credit": FieldType(Kind.DECIMAL, precision=12, scale=2),
    "rate": FieldType(Kind.DECIMAL),
    "weight": FieldType(Kind.DECIMAL),
    "count": FieldType(Kind.INTEGER),
    "share": FieldType(Kind.FLOAT),
    "blocked": FieldType(Kind.BOOLEAN),
    "opened": FieldType(Kind.DATE),
    "at": FieldType(Kind.TIME),
    "seen": FieldType(Kind.TIMESTAMP),
    "synced": FieldType(Kind.TIMESTAMP_TZ),
    "took": FieldType(Kind.INTERVAL),
    "id": FieldType(Kind.UUID),
    "photo": FieldType(Kind.BYTES),
    "tags": FieldType(Kind.JSON),
}
ROW = {
    "number": "C1",
    "credit": Decimal("-1234567890.50"),
    "rate": Decimal("1.0000000000000000000000000000000000000001"),
    "weight": Decimal("1E+3"),
    "count": 2**63 - 1,
    "share": 0.5,
    "blocked": False,
    "opened": dt.date(2026, 11, 23),
    "at": dt.time(23, 59, 59, 999999),
    "seen": dt.datetime(2026, 11, 23, 1, 2, 3, 4),  # noqa: DTZ001  zone-less by its type
    "synced": dt.datetime(2026, 11, 23, 1, 2, 3, 4, dt.UTC),
    "took": dt.timedelta(days=-1, microseconds=1),
    "id": UUID(int=7),
    "photo": b"\x00\xff",
    "tags": {"a": 1},
}


def read_typed(data: bytes) -> dict[str, Any]:
    schema = fastavro.parse_schema(json.loads(typed_schema(FIELDS)))
    found: Any = fastavro.schemaless_reader(BytesIO(data[5:]), schema, None)
    return dict(found)


def test_the_typed_form_is_read_by_any_avro_reader() -> None:
    data = TypedEncoder(FIELDS, 9)(change(after=ROW))
    assert data[:5] == confluent_prefix(9)
    records = {
        "rate": {"unscaled": (10**40 + 1).to_bytes(17, "big"), "scale": 40},
        "weight": {"unscaled": b"\x01", "scale": -3},
        "took": {"micros": -86_399_999_999},
        "tags": {"text": '{"a":1}'},
    }
    assert read_typed(data)["after"] == ROW | records


def test_the_worker_reads_the_typed_form_as_it_was() -> None:
    found = exact(TypedEncoder(FIELDS, 9)(change(after=ROW)), {9: typed_schema(FIELDS)})
    assert {**found, "tags": None} == {**ROW, "tags": None}
    assert json.loads(found["tags"]) == ROW["tags"]


def test_a_field_without_a_value_is_null() -> None:
    found = read_typed(TypedEncoder(FIELDS, 9)(change(after={"number": "C1"})))["after"]
    assert found == dict.fromkeys(FIELDS) | {"number": "C1"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("number", None),
        ("number", 1),
        ("credit", Decimal("0.001")),
        ("credit", Decimal("10000000000.00")),
        ("credit", Decimal("NaN")),
        ("rate", Decimal("NaN")),
        ("count", 2**63),
        ("count", True),
        ("share", "0.5"),
        ("opened", "2026-11-23"),
        ("opened", Unbounded.INFINITY),
        ("seen", dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        ("synced", dt.datetime(2026, 1, 1)),  # noqa: DTZ001  what is refused
        ("synced", Unbounded.INFINITY),
        ("photo", "text"),
        ("id", "no uuid"),
        ("unknown", 1),
    ],
)
def test_a_value_that_does_not_fit_its_field_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError):
        TypedEncoder(FIELDS, 9)(change(after={**ROW, field: value}))


@pytest.mark.parametrize(
    "fields", [{"No.": FieldType(Kind.TEXT)}, {"x": FieldType(Kind.ARRAY)}, {"x": FieldType(Kind.UNKNOWN)}]
)
def test_what_the_typed_form_has_not_is_refused(fields: dict[str, FieldType]) -> None:
    with pytest.raises(ValueError, match="self-contained"):
        typed_schema(fields)


def test_a_message_key_is_json_in_the_order_of_the_key() -> None:
    assert message_key({"number": "C1", "line": 2}) == b'{"number":"C1","line":2}'


@pytest.mark.parametrize(
    ("value", "written"), [(0, b"\0"), (127, b"\x7f"), (128, b"\0\x80"), (-128, b"\x80"), (-129, b"\xff\x7f")]
)
def test_an_integer_takes_as_few_bytes_as_hold_it(value: int, written: bytes) -> None:
    assert integer_bytes(value) == written
