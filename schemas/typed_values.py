"""Values that carry their types, as the self-contained form of RecordChange holds them. Pure.

A value is written as fastavro's pair (name of the union's branch, content); what is read back is the exact Python value.
"""

import datetime as dt
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from schemas.change import FarDate, FarTimestamp, Kind, Reader, Unbounded

_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  zone-less timestamps count from a zone-less epoch
_EPOCH_UTC = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_EPOCH_ORDINAL = dt.date(1970, 1, 1).toordinal()
_MICROSECOND = dt.timedelta(microseconds=1)
_DAY_US = 86_400_000_000
_LONG = range(-(2**63), 2**63)

# PostgreSQL's numeric has at most this many digits on either side of the point; a larger scale is no number of any app.
_MAX_SCALE = 131_072
# 4299 digits, as Python turns no more than 4300 into text
_MAX_INTEGER_BYTES = 1785


def to_typed(value: Any) -> Any:
    """Return a value with its type for a union of the self-contained form; ValueError where no type holds it exactly."""
    if value is None:
        return None
    write = _WRITERS.get(type(value))
    if write is None:
        raise ValueError(f"a value of type {type(value).__name__} has no Avro form")
    return write(value)


def from_typed(value: Any) -> Any:
    """Return the exact Python value of what fastavro read with `return_named_type`; ValueError where it is none."""
    if type(value) is not tuple:
        return value
    name, content = value
    if name == "instep.Unbounded":
        return Unbounded[content]
    return NAMED[name][1](content)


def unscaled_bytes(value: Decimal, scale: int) -> bytes:
    """Return a decimal times ten to the `scale` as big-endian two's complement; ValueError where that is no integer."""
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError("not a finite decimal")  # noqa: TRY004  a value of the right type
    shift = exponent + scale
    if abs(scale) > _MAX_SCALE or abs(shift) > _MAX_SCALE:
        raise ValueError("a decimal with too many digits")
    magnitude = int("".join(map(str, digits)))
    magnitude, rest = (magnitude * 10**shift, 0) if shift >= 0 else divmod(magnitude, 10**-shift)
    if rest:
        raise ValueError("a decimal with more digits after the point than the scale has")
    return integer_bytes(-magnitude if sign else magnitude)


def integer_bytes(value: int) -> bytes:
    """Return an integer as big-endian two's complement, in as few bytes as hold it."""
    return value.to_bytes((value + (value < 0)).bit_length() // 8 + 1, "big", signed=True)


def timestamp_micros(value: dt.datetime | FarTimestamp, *, zoned: bool) -> int:
    """Return a timestamp as microseconds since 1970; ValueError where it has a zone and should not, or the reverse."""
    if isinstance(value, FarTimestamp):
        if value.zoned is not zoned:
            raise ValueError("a timestamp whose zone is not what its type says")
        return value.micros
    if (value.tzinfo is not None) is not zoned:
        raise ValueError("a timestamp whose zone is not what its type says")
    return (value - (_EPOCH_UTC if zoned else _EPOCH)) // _MICROSECOND


def date_days(value: dt.date | FarDate) -> int:
    """Return a date as days since 1970-01-01."""
    return value.days if isinstance(value, FarDate) else value.toordinal() - _EPOCH_ORDINAL


def time_micros(value: dt.time) -> int:
    """Return a time of day as microseconds since midnight; ValueError where it has a time zone."""
    if value.tzinfo is not None:
        raise ValueError("a time of day with a time zone")
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond


def interval_micros(value: dt.timedelta) -> int:
    """Return a span of time in microseconds."""
    return value // _MICROSECOND


def json_text(value: Any) -> str:
    """Return a JSON document; ValueError where the value is none."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, RecursionError):
        raise ValueError("not a JSON document") from None


def _integer(value: int) -> Any:
    return ("long", value) if value in _LONG else ("instep.BigInteger", {"unscaled": integer_bytes(value)})


def _decimal(value: Decimal) -> Any:
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        return ("double", float(value))  # not a number, or infinite, which Avro knows as floating point alone
    return ("instep.Decimal", {"unscaled": unscaled_bytes(value, -exponent), "scale": -exponent})


def _timestamp(value: dt.datetime) -> Any:
    if value.tzinfo is None:
        return ("instep.Timestamp", {"micros": timestamp_micros(value, zoned=False)})
    return ("instep.Instant", {"micros": timestamp_micros(value, zoned=True)})


def _far_timestamp(value: FarTimestamp) -> Any:
    return ("instep.Instant" if value.zoned else "instep.Timestamp", {"micros": value.micros})


def _json(value: Any) -> Any:
    return ("instep.Json", {"text": json_text(value)})


def _array(value: list[Any]) -> Any:
    if any(isinstance(item, list | dict) for item in value):
        return _json(value)
    return ("instep.Array", {"items": [to_typed(item) for item in value]})


_WRITERS: Mapping[type, Callable[[Any], Any]] = {
    bool: lambda value: ("boolean", value),
    int: _integer,
    float: lambda value: ("double", value),
    str: lambda value: ("string", value),
    bytes: lambda value: ("bytes", value),
    Decimal: _decimal,
    dt.date: lambda value: ("instep.Date", {"days": date_days(value)}),
    FarDate: lambda value: ("instep.Date", {"days": value.days}),
    dt.time: lambda value: ("instep.Time", {"micros": time_micros(value)}),
    dt.datetime: _timestamp,
    FarTimestamp: _far_timestamp,
    Unbounded: lambda value: ("instep.Unbounded", value.name),
    dt.timedelta: lambda value: ("instep.Interval", {"micros": interval_micros(value)}),
    UUID: lambda value: ("instep.Uuid", {"text": str(value)}),
    dict: _json,
    list: _array,
}


def _read_integer(content: Mapping[str, Any]) -> int:
    if len(content["unscaled"]) > _MAX_INTEGER_BYTES:
        raise ValueError("an integer with too many digits")
    return int.from_bytes(content["unscaled"], "big", signed=True)


def _read_decimal(content: Mapping[str, Any]) -> Decimal:
    scale = content["scale"]
    if abs(scale) > _MAX_SCALE:
        raise ValueError("a decimal with too many digits")
    return Decimal(f"{_read_integer(content)}E{-scale}")


def _read_date(content: Mapping[str, Any]) -> dt.date | FarDate:
    ordinal = content["days"] + _EPOCH_ORDINAL
    if 1 <= ordinal <= dt.date.max.toordinal():
        return dt.date.fromordinal(ordinal)
    return FarDate(content["days"])


def _read_time(content: Mapping[str, Any]) -> dt.time:
    micros = content["micros"]
    if not 0 <= micros < _DAY_US:
        raise ValueError("not a time of day")
    return (_EPOCH + dt.timedelta(microseconds=micros)).time()


def _read_timestamp(content: Mapping[str, Any]) -> dt.datetime | FarTimestamp:
    try:
        return _EPOCH + dt.timedelta(microseconds=content["micros"])
    except OverflowError:
        return FarTimestamp(content["micros"], zoned=False)


def _read_instant(content: Mapping[str, Any]) -> dt.datetime | FarTimestamp:
    try:
        return _EPOCH_UTC + dt.timedelta(microseconds=content["micros"])
    except OverflowError:
        return FarTimestamp(content["micros"], zoned=True)


def _read_interval(content: Mapping[str, Any]) -> dt.timedelta:
    try:
        return dt.timedelta(microseconds=content["micros"])
    except OverflowError:
        raise ValueError("a span of time that is too long") from None


def _read_uuid(content: Mapping[str, Any]) -> UUID:
    return UUID(content["text"])


def _read_json(content: Mapping[str, Any]) -> str:
    return str(content["text"])


def _read_array(content: Mapping[str, Any]) -> list[Any]:
    return [from_typed(item) for item in content["items"]]


# The records that stand for a value, in both forms: their kind, and what reads their content.
NAMED: Mapping[str, tuple[Kind, Reader]] = {
    "instep.BigInteger": (Kind.INTEGER, _read_integer),
    "instep.Decimal": (Kind.DECIMAL, _read_decimal),
    "instep.Date": (Kind.DATE, _read_date),
    "instep.Time": (Kind.TIME, _read_time),
    "instep.Timestamp": (Kind.TIMESTAMP, _read_timestamp),
    "instep.Instant": (Kind.TIMESTAMP_TZ, _read_instant),
    "instep.Interval": (Kind.INTERVAL, _read_interval),
    "instep.Uuid": (Kind.UUID, _read_uuid),
    "instep.Json": (Kind.JSON, _read_json),
    "instep.Array": (Kind.ARRAY, _read_array),
}
