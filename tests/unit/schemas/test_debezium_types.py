"""Every logical type that Debezium and Kafka Connect write: its kind, its exact value, and what is refused."""

import base64
import datetime as dt
import json
import math
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from schemas.change import FarDate, FarTimestamp, Kind, RecordChange, Unbounded
from schemas.decoder import Decoder

UTC = dt.UTC
INFINITY, NEGATIVE = Unbounded.INFINITY, Unbounded.NEGATIVE
T, D, C = "io.debezium.time.", "io.debezium.data.", "org.apache.kafka.connect.data."
UNSCALED = base64.b64encode(b"\x0f\x42\x72").decode()


def day(year: int, month: int, day_: int) -> dt.date:
    return dt.date(year, month, day_)


def at(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001  zone-less is what is meant


def connect(type_: str, name: str = "", **more: Any) -> dict[str, Any]:
    return {"type": type_, "optional": True, "name": name, **more}


def decoded(schema: dict[str, Any], value: Any) -> tuple[Kind, Any]:
    """Decode a change with one field of a schema; return its kind and its exact value."""
    row = {"type": "struct", "fields": [{**schema, "field": "x"}], "optional": True}
    envelope = {
        "type": "struct",
        "name": "t.Envelope",
        "fields": [{**row, "field": "before"}, {**row, "field": "after"}, {"type": "string", "field": "op"}],
    }
    payload = {"before": None, "after": {"x": value}, "op": "c"}
    message = json.dumps({"schema": envelope, "payload": payload}, separators=(",", ":"), allow_nan=False)
    change = Decoder(lambda _: None)(None, message.encode(), ())
    assert isinstance(change, RecordChange), change
    assert change.after is not None
    wire = change.after["x"]
    reader = change.shape.readers.get("x")
    return change.shape.kinds["x"], wire if reader is None or wire is None else reader(wire)


DECIMAL = connect("bytes", C + "Decimal", parameters={"scale": "2"})
VARIABLE = connect(
    "struct",
    D + "VariableScaleDecimal",
    fields=[{"type": "int32", "field": "scale"}, {"type": "bytes", "field": "value"}],
)
STRUCTURED_PARTS = {"year": 2026, "month": 11, "day": 22, "hour": 9, "minute": 30, "second": 15}

VALUES: list[tuple[dict[str, Any], Any, Kind, Any]] = [
    (connect("int8"), -5, Kind.INTEGER, -5),
    (connect("int64"), 2**53 + 1, Kind.INTEGER, 2**53 + 1),
    (connect("int64"), -(2**63), Kind.INTEGER, -(2**63)),
    (connect("boolean"), False, Kind.BOOLEAN, False),
    (connect("string"), "École 🙂", Kind.TEXT, "École 🙂"),
    (connect("float"), 0.1, Kind.FLOAT, 0.1),
    (connect("double"), 3, Kind.FLOAT, 3.0),
    (connect("double"), "-Infinity", Kind.FLOAT, -math.inf),
    (connect("bytes"), "3q2+7w==", Kind.BYTES, b"\xde\xad\xbe\xef"),
    (connect("array", items=connect("string")), ["a,b", None], Kind.ARRAY, ["a,b", None]),
    (connect("array", items=connect("int32", T + "Date")), [0, None], Kind.ARRAY, [day(1970, 1, 1), None]),
    (connect("array", items=DECIMAL), [UNSCALED], Kind.ARRAY, [Decimal("10000.50")]),
    (connect("array", items=connect("array", items=connect("int32"))), [[1], []], Kind.ARRAY, [[1], []]),
    (connect("map", keys=connect("string"), values=connect("string")), {"a": None}, Kind.JSON, {"a": None}),
    (connect("map", keys=connect("int32"), values=DECIMAL), [[1, UNSCALED]], Kind.JSON, {"1": "10000.50"}),
    (
        connect(
            "struct",
            fields=[{**connect("int32", T + "Date"), "field": "d"}, {**connect("bytes"), "field": "b"}],
        ),
        {"d": 1, "b": "AQ=="},
        Kind.JSON,
        {"d": "1970-01-02", "b": "AQ=="},
    ),
    (DECIMAL, UNSCALED, Kind.DECIMAL, Decimal("10000.50")),
    (DECIMAL, base64.b64encode(b"\xff").decode(), Kind.DECIMAL, Decimal("-0.01")),
    (VARIABLE, {"scale": 10, "value": "AQ=="}, Kind.DECIMAL, Decimal("1E-10")),
    (
        VARIABLE,
        {
            "scale": 0,
            "value": base64.b64encode((12345678901234567890123456789012345).to_bytes(15, "big")).decode(),
        },
        Kind.DECIMAL,
        Decimal(12345678901234567890123456789012345),
    ),
    (connect("int32", C + "Date"), 3711, Kind.DATE, day(1980, 2, 29)),
    (connect("int32", C + "Time"), 1, Kind.TIME, dt.time(microsecond=1000)),
    (connect("int64", C + "Timestamp"), 1, Kind.TIMESTAMP, at(1970, 1, 1, 0, 0, 0, 1000)),
    (connect("int32", T + "Date"), 3711, Kind.DATE, day(1980, 2, 29)),
    (connect("int32", T + "Date"), -735160, Kind.DATE, FarDate(-735160)),
    (connect("int32", T + "Date"), -719162, Kind.DATE, day(1, 1, 1)),
    (connect("int32", T + "Date"), -719163, Kind.DATE, FarDate(-719163)),
    (connect("int32", T + "Date"), 2932897, Kind.DATE, FarDate(2932897)),
    (connect("int32", T + "Date"), 2_146_033_979, Kind.DATE, INFINITY),
    (connect("int32", T + "Date"), -2_147_472_692, Kind.DATE, INFINITY),
    (connect("int32", T + "Date"), -2_147_472_691, Kind.DATE, NEGATIVE),
    (connect("int32", T + "Time"), 86399999, Kind.TIME, dt.time(23, 59, 59, 999000)),
    (connect("int64", T + "MicroTime"), 86399999999, Kind.TIME, dt.time(23, 59, 59, 999999)),
    (connect("int64", T + "MicroTime"), 86400000000, Kind.TIME, dt.timedelta(days=1)),
    (connect("int64", T + "MicroTime"), -1, Kind.TIME, dt.timedelta(microseconds=-1)),
    (connect("int64", T + "NanoTime"), 1000, Kind.TIME, dt.time(0, 0, 0, 1)),
    (
        connect("string", T + "ZonedTime"),
        "10:15:30+01:00",
        Kind.TIME,
        dt.time(10, 15, 30, tzinfo=dt.timezone(dt.timedelta(hours=1))),
    ),
    (connect("string", T + "ZonedTime"), "10:15:30.123456Z", Kind.TIME, dt.time(10, 15, 30, 123456, UTC)),
    (connect("string", T + "IsoTime"), "10:15:30.5Z", Kind.TIME, dt.time(10, 15, 30, 500000)),
    (connect("int64", T + "Timestamp"), 1774751400000, Kind.TIMESTAMP, at(2026, 3, 29, 2, 30)),
    (connect("int64", T + "Timestamp"), 9223372036825200, Kind.TIMESTAMP, INFINITY),
    (connect("int64", T + "Timestamp"), -9223372036832400, Kind.TIMESTAMP, NEGATIVE),
    (connect("int64", T + "Timestamp"), 9223372036825200000, Kind.TIMESTAMP, INFINITY),
    (connect("int64", T + "MicroTimestamp"), 1774751400000001, Kind.TIMESTAMP, at(2026, 3, 29, 2, 30, 0, 1)),
    (connect("int64", T + "MicroTimestamp"), 9223372036825200000, Kind.TIMESTAMP, INFINITY),
    (connect("int64", T + "MicroTimestamp"), -9223372036832400000, Kind.TIMESTAMP, NEGATIVE),
    (
        connect("int64", T + "MicroTimestamp"),
        253402300800000000,
        Kind.TIMESTAMP,
        FarTimestamp(253402300800000000, zoned=False),
    ),
    (
        connect("int64", T + "MicroTimestamp"),
        -62135596800000001,
        Kind.TIMESTAMP,
        FarTimestamp(-62135596800000001, zoned=False),
    ),
    (
        connect("int64", T + "NanoTimestamp"),
        1774751400000001000,
        Kind.TIMESTAMP,
        at(2026, 3, 29, 2, 30, 0, 1),
    ),
    (
        connect("string", T + "IsoTimestamp"),
        "2026-03-29T02:30:00.5Z",
        Kind.TIMESTAMP,
        at(2026, 3, 29, 2, 30, 0, 500000),
    ),
    (connect("string", T + "IsoDate"), "1980-02-29Z", Kind.DATE, day(1980, 2, 29)),
    (connect("string", T + "IsoDate"), "-0043-03-15", Kind.DATE, FarDate(-735160)),
    (
        connect("string", T + "ZonedTimestamp"),
        "2026-11-22T09:00:00.123456Z",
        Kind.TIMESTAMP_TZ,
        dt.datetime(2026, 11, 22, 9, 0, 0, 123456, UTC),
    ),
    (
        connect("string", T + "ZonedTimestamp"),
        "2026-11-22T09:00:00.123456000Z",
        Kind.TIMESTAMP_TZ,
        dt.datetime(2026, 11, 22, 9, 0, 0, 123456, UTC),
    ),
    (
        connect("string", T + "ZonedTimestamp"),
        "2026-11-22T10:30:00+01:30",
        Kind.TIMESTAMP_TZ,
        dt.datetime(2026, 11, 22, 9, 0, tzinfo=UTC),
    ),
    (connect("string", T + "ZonedTimestamp"), "infinity", Kind.TIMESTAMP_TZ, INFINITY),
    (connect("string", T + "ZonedTimestamp"), "-infinity", Kind.TIMESTAMP_TZ, NEGATIVE),
    (
        connect("string", T + "ZonedTimestamp"),
        "-0043-03-15T00:00:00Z",
        Kind.TIMESTAMP_TZ,
        FarTimestamp(-735160 * 86_400_000_000, zoned=True),
    ),
    (
        connect("string", T + "ZonedTimestamp"),
        "+10000-01-01T00:00:00Z",
        Kind.TIMESTAMP_TZ,
        FarTimestamp(253402300800000000, zoned=True),
    ),
    (connect("int32", T + "Year"), 2026, Kind.INTEGER, 2026),
    (connect("string", T + "Interval"), "P1Y2M3DT4H5M6.78S", Kind.INTERVAL, "P1Y2M3DT4H5M6.78S"),
    (connect("int64", T + "MicroDuration"), 93784000000, Kind.INTERVAL, dt.timedelta(1, 7384)),
    (connect("int64", T + "NanoDuration"), -1000, Kind.INTERVAL, dt.timedelta(microseconds=-1)),
    (connect("string", D + "Json"), '{"a": 1}', Kind.JSON, '{"a": 1}'),
    (
        connect("string", D + "Uuid"),
        "8c6e3c6a-3b1e-4a2c-9f51-2f5b8a4e1d11",
        Kind.UUID,
        UUID("8c6e3c6a-3b1e-4a2c-9f51-2f5b8a4e1d11"),
    ),
    (connect("string", D + "Xml"), "<a/>", Kind.TEXT, "<a/>"),
    (connect("string", D + "Enum", parameters={"allowed": "a,b"}), "a", Kind.TEXT, "a"),
    (connect("string", D + "EnumSet", parameters={"allowed": "a,b"}), "a,b", Kind.TEXT, "a,b"),
    (connect("string", D + "Ltree"), "a.b", Kind.TEXT, "a.b"),
    (connect("string", D + "TsVector"), "'a':1", Kind.TEXT, "'a':1"),
    (
        connect("bytes", D + "Bits", parameters={"length": "10"}),
        base64.b64encode(b"\x05\x02").decode(),
        Kind.TEXT,
        "B1000000101",
    ),
    (connect("array", D + "DoubleVector", items=connect("double")), [0.5, 1], Kind.ARRAY, [0.5, 1.0]),
    (
        connect(
            "struct",
            D + "geometry.Point",
            fields=[
                {**connect("double"), "field": "x"},
                {**connect("double"), "field": "y"},
                {**connect("bytes"), "field": "wkb"},
                {**connect("int32"), "field": "srid"},
            ],
        ),
        {"x": 1, "y": 2, "wkb": "AQE=", "srid": None},
        Kind.JSON,
        {"x": 1.0, "y": 2.0, "wkb": "AQE=", "srid": None},
    ),
    (connect("struct", T + "StructuredDate"), STRUCTURED_PARTS, Kind.DATE, day(2026, 11, 22)),
    (
        connect("struct", T + "StructuredDate"),
        {"year": -43, "month": 3, "day": 15},
        Kind.DATE,
        FarDate(-735160),
    ),
    (connect("struct", T + "StructuredDate"), {"specialValue": "POSITIVE_INFINITY"}, Kind.DATE, INFINITY),
    (connect("struct", T + "StructuredTime"), STRUCTURED_PARTS, Kind.TIME, dt.time(9, 30, 15)),
    (
        connect("struct", T + "StructuredTime"),
        {"hour": 1, "picoseconds": 5_000_000},
        Kind.TIME,
        dt.time(1, 0, 0, 5),
    ),
    (
        connect("struct", T + "StructuredZonedTime"),
        {"hour": 1, "offsetSeconds": 0},
        Kind.TIME,
        dt.time(1, tzinfo=UTC),
    ),
    (
        connect("struct", T + "StructuredTimestamp"),
        STRUCTURED_PARTS,
        Kind.TIMESTAMP,
        at(2026, 11, 22, 9, 30, 15),
    ),
    (
        connect("struct", T + "StructuredTimestamp"),
        {"specialValue": "NEGATIVE_INFINITY"},
        Kind.TIMESTAMP,
        NEGATIVE,
    ),
    (
        connect("struct", T + "StructuredZonedTimestamp"),
        {**STRUCTURED_PARTS, "offsetSeconds": 3600},
        Kind.TIMESTAMP_TZ,
        dt.datetime(2026, 11, 22, 8, 30, 15, tzinfo=UTC),
    ),
    (
        connect("struct", T + "StructuredZonedTimestamp"),
        {"specialValue": "POSITIVE_INFINITY"},
        Kind.TIMESTAMP_TZ,
        INFINITY,
    ),
    (
        connect("struct", T + "StructuredDuration"),
        {"days": 1, "hours": 2, "seconds": -3},
        Kind.INTERVAL,
        dt.timedelta(1, 7197),
    ),
    (
        connect("struct", T + "StructuredDuration"),
        {"years": 1, "months": -2, "seconds": -3},
        Kind.INTERVAL,
        "P1Y-2M0DT-3.000000S",
    ),
]


@pytest.mark.parametrize(("schema", "wire", "kind", "exact"), VALUES)
def test_a_value_is_read_exactly(schema: dict[str, Any], wire: Any, kind: Kind, exact: Any) -> None:
    read_kind, value = decoded(schema, wire)
    assert (read_kind, type(value), value) == (kind, type(exact), exact)


@pytest.mark.parametrize(("schema", "wire", "kind", "exact"), VALUES)
def test_null_stays_null(schema: dict[str, Any], wire: Any, kind: Kind, exact: Any) -> None:
    assert decoded(schema, None) == (kind, None)


def test_not_a_number_is_read() -> None:
    kind, value = decoded(connect("double"), "NaN")
    assert kind is Kind.FLOAT
    assert math.isnan(value)


REFUSED: list[tuple[dict[str, Any], Any]] = [
    (DECIMAL, "not base64!"),
    (DECIMAL, 5),
    (VARIABLE, {"scale": "1", "value": "AQ=="}),
    (VARIABLE, {"scale": 2**31 - 1, "value": "AQ=="}),
    (VARIABLE, {"value": "AQ=="}),
    (VARIABLE, "AQ=="),
    (connect("bytes"), "ä"),
    (connect("bytes"), 5),
    (connect("double"), "five"),
    (connect("double"), True),
    (connect("array", items=connect("int32", T + "Date")), "[]"),
    (connect("array", items=connect("int32", T + "Date")), ["x"]),
    (connect("map", keys=connect("string"), values=connect("string")), []),
    (connect("map", keys=connect("int32"), values=connect("string")), [[1]]),
    (connect("struct", fields=[]), "x"),
    (connect("int32", T + "Date"), "2026-11-22"),
    (connect("int32", T + "Date"), True),
    (connect("int32", T + "Date"), 1.5),
    (connect("int32", T + "Time"), "10:00"),
    (connect("int64", T + "MicroTime"), 1.0),
    (connect("int64", T + "NanoTime"), 1),
    (connect("string", T + "ZonedTime"), "10:15:30"),
    (connect("string", T + "ZonedTime"), "24:00:00Z"),
    (connect("string", T + "ZonedTime"), "25:15:30Z"),
    (connect("string", T + "IsoTime"), "10:15:30+01:00"),
    (connect("string", T + "IsoTime"), 5),
    (connect("int64", T + "Timestamp"), "1"),
    (connect("int64", T + "MicroTimestamp"), True),
    (connect("int64", T + "MicroTimestamp"), 1.5),
    (connect("int64", T + "NanoTimestamp"), 1),
    (connect("string", T + "IsoTimestamp"), "2026-03-29T02:30:00+02:00"),
    (connect("string", T + "IsoDate"), "2026-02-29"),
    (connect("string", T + "ZonedTimestamp"), "2026-11-22T09:00:00"),
    (connect("string", T + "ZonedTimestamp"), "2026-11-22T09:00:00.1234567Z"),
    (connect("string", T + "ZonedTimestamp"), "2026-11-22"),
    (connect("string", T + "ZonedTimestamp"), "20261122T090000Z"),
    (connect("string", T + "ZonedTimestamp"), 5),
    (connect("string", T + "Interval"), "1 day"),
    (connect("string", T + "Interval"), "P"),
    (connect("int64", T + "MicroDuration"), "1"),
    (connect("int64", T + "NanoDuration"), 999),
    (connect("string", D + "Json"), 5),
    (connect("string", D + "Uuid"), "8c6e3c6a"),
    (connect("string", D + "Uuid"), 5),
    (connect("bytes", D + "Bits", parameters={"length": "3"}), "/w=="),
    (connect("struct", T + "StructuredDate"), {"year": 2026, "month": 2, "day": 30}),
    (connect("struct", T + "StructuredDate"), {"year": 0, "month": 0, "day": 0}),
    (connect("struct", T + "StructuredDate"), {"specialValue": "TOMORROW"}),
    (connect("struct", T + "StructuredDate"), "2026-01-01"),
    (connect("struct", T + "StructuredTime"), {"hour": 25}),
    (connect("struct", T + "StructuredTime"), {"hour": 1, "picoseconds": 1}),
    (connect("struct", T + "StructuredTimestamp"), {}),
    (connect("struct", T + "StructuredZonedTime"), {"hour": 24}),
    (connect("struct", T + "StructuredDuration"), {"days": "1"}),
]


@pytest.mark.parametrize(("schema", "wire"), REFUSED)
def test_a_value_of_another_type_is_refused_without_being_told(schema: dict[str, Any], wire: Any) -> None:
    with pytest.raises(ValueError) as refused:
        decoded(schema, wire)
    assert str(wire) not in str(refused.value)
