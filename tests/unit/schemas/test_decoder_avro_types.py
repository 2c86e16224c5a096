"""Avro's logical types, and Connect's and Debezium's in Avro: their kinds and exact values."""

import datetime as dt
import json
import math
from decimal import Decimal
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from fastavro import parse_schema, schemaless_writer

from schemas.change import Kind, RecordChange, Unbounded
from schemas.decoder import Decoder

UTC = dt.UTC
INFINITY = Unbounded.INFINITY
T, D, C = "io.debezium.time.", "io.debezium.data.", "org.apache.kafka.connect.data."


def day(year: int, month: int, day_: int) -> dt.date:
    return dt.date(year, month, day_)


def at(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001  zone-less is what is meant


AVRO_VALUES: list[tuple[Any, Any, Kind, Any]] = [
    ({"type": "int", "logicalType": "date"}, 3711, Kind.DATE, day(1980, 2, 29)),
    ({"type": "int", "logicalType": "time-millis"}, 1, Kind.TIME, dt.time(0, 0, 0, 1000)),
    ({"type": "long", "logicalType": "time-micros"}, 1, Kind.TIME, dt.time(0, 0, 0, 1)),
    (
        {"type": "long", "logicalType": "timestamp-millis"},
        0,
        Kind.TIMESTAMP_TZ,
        dt.datetime(1970, 1, 1, tzinfo=UTC),
    ),
    (
        {"type": "long", "logicalType": "timestamp-micros"},
        1,
        Kind.TIMESTAMP_TZ,
        dt.datetime(1970, 1, 1, 0, 0, 0, 1, UTC),
    ),
    (
        {"type": "long", "logicalType": "local-timestamp-micros"},
        1,
        Kind.TIMESTAMP,
        at(1970, 1, 1, 0, 0, 0, 1),
    ),
    (
        {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2},
        b"\xff",
        Kind.DECIMAL,
        Decimal("-0.01"),
    ),
    (
        {"type": "fixed", "name": "F", "size": 2, "logicalType": "decimal", "precision": 4},
        b"\x00\x05",
        Kind.DECIMAL,
        Decimal(5),
    ),
    ({"type": "string", "logicalType": "uuid"}, str(UUID(int=5)), Kind.UUID, UUID(int=5)),
    (
        {"type": "bytes", "connect.name": D + "Bits", "connect.parameters": {"length": "3"}},
        b"\x05",
        Kind.TEXT,
        "B101",
    ),
    (
        {"type": "long", "logicalType": "timestamp-millis", "connect.name": C + "Timestamp"},
        0,
        Kind.TIMESTAMP,
        at(1970, 1, 1),
    ),
    ({"type": "string", "connect.name": T + "ZonedTimestamp"}, "infinity", Kind.TIMESTAMP_TZ, INFINITY),
    ("bytes", b"\x00\xff", Kind.BYTES, b"\x00\xff"),
    ("float", 0.1, Kind.FLOAT, 0.1),
    ("float", 3.4028234663852886e38, Kind.FLOAT, 3.4028235e38),
    ("float", math.inf, Kind.FLOAT, math.inf),
    ("double", 0.1, Kind.FLOAT, 0.1),
    ({"type": "enum", "name": "E", "symbols": ["a", "b"]}, "b", Kind.TEXT, "b"),
    (
        {"type": "array", "items": ["null", {"type": "int", "logicalType": "date"}]},
        [0, None],
        Kind.ARRAY,
        [day(1970, 1, 1), None],
    ),
    ({"type": "map", "values": "long"}, {"a": 1}, Kind.JSON, {"a": 1}),
    (
        {
            "type": "record",
            "name": "V",
            "connect.name": D + "VariableScaleDecimal",
            "fields": [{"name": "scale", "type": "int"}, {"name": "value", "type": "bytes"}],
        },
        {"scale": 3, "value": b"\x05"},
        Kind.DECIMAL,
        Decimal("0.005"),
    ),
]


@pytest.mark.parametrize(("field", "wire", "kind", "exact"), AVRO_VALUES)
def test_an_avro_value_is_read_exactly(field: Any, wire: Any, kind: Kind, exact: Any) -> None:
    row = {"type": "record", "name": "Value", "fields": [{"name": "x", "type": ["null", field]}]}
    schema = {
        "type": "record",
        "name": "Envelope",
        "fields": [
            {"name": "before", "type": ["null", row]},
            {"name": "after", "type": ["null", "Value"]},
            {"name": "op", "type": "string"},
        ],
    }
    stream = BytesIO()
    plain = json.loads(json.dumps(schema).replace('"logicalType"', '"was"'))
    schemaless_writer(stream, parse_schema(plain), {"before": None, "after": {"x": wire}, "op": "c"})
    change = Decoder(lambda _: json.dumps(schema))(None, b"\x00\x00\x00\x00\x07" + stream.getvalue(), ())
    assert isinstance(change, RecordChange)
    assert change.after is not None
    reader = change.shape.readers.get("x", lambda value: value)
    assert (change.shape.kinds["x"], reader(change.after["x"])) == (kind, exact)
