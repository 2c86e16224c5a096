"""From the kind of a source field to the kind of a target column, exactly or not at all.

Every function here takes a value that is not None and raises ValueError, without the value in its text, when the value
is no value of the target's kind. Nothing is rounded, shortened or guessed.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from schemas.change import FarDate, FarTimestamp, Kind, Unbounded

Coercion = Callable[[Any], Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MIDNIGHT = datetime(1970, 1, 1)  # noqa: DTZ001  only a time of day is taken from it
_EPOCH_DAYS = date(1970, 1, 1).toordinal()
_MICROS_PER_UNIT = {"s": 1_000_000, "ms": 1000, "us": 1, "ns": 0}
# no integer of any app has more digits, and Python turns few more into text
INTEGER_DIGITS = 4000
INTEGER = re.compile(rf"\s*[+-]?\d{{1,{INTEGER_DIGITS}}}\s*", re.ASCII)
_TRUE, _FALSE = frozenset({"true", "t", "1"}), frozenset({"false", "f", "0"})
_TEMPORAL = frozenset({Kind.DATE, Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ, Kind.INTERVAL})


def coercion(source: Kind | None, target: Kind, timestamp_unit: str = "us") -> Coercion | None:
    """Return what turns a value of the source's kind into one of the target's; None when it is one already.

    `source` is None where the source sends no schema: integers due as times are then read in `timestamp_unit`
    (s, ms, us or ns since 1970, or since midnight), integers due as dates as days since 1970.
    """
    if target is Kind.UNKNOWN or source is target:
        return None
    if source is None and target in _TEMPORAL:
        return _temporal_from_json(target, timestamp_unit)
    return _TO[target]


def interval_text(value: timedelta) -> str:
    """Return an interval the way PostgreSQL writes it, such as `1 day 02:03:04.5`."""
    negative = value < timedelta(0)
    days, seconds = divmod(abs(value) // timedelta(seconds=1), 86400)
    sign = "-" if negative else ""
    clock = f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    micros = abs(value).microseconds
    if micros:
        clock += f".{micros:06}".rstrip("0")
    if not days:
        return clock
    plural = "" if days == 1 else "s"
    return f"{sign}{days} day{plural}" if not seconds and not micros else f"{sign}{days} day{plural} {clock}"


def to_text(value: Any) -> str:
    """Return the one text of a value; bytes have none."""
    match value:
        case Unbounded():
            text = value.value
        case bytes() | FarDate() | FarTimestamp():
            raise ValueError("bytes, or a date outside the years 1 to 9999, where text is due")
        case bool():
            text = "true" if value else "false"
        case dict() | list():
            text = json.dumps(value, ensure_ascii=False, default=to_text)
        case timedelta():
            text = interval_text(value)
        case Decimal() if _has_digits(value):
            text = format(value, "f")
        case datetime():
            text = value.isoformat(" ")
        case date() | time():
            text = value.isoformat()
        case _:
            text = str(value)
    return text


def _has_digits(value: float | Decimal) -> bool:
    """Whether a number can be written out in digits, and not too many of them."""
    return math.isfinite(value) and abs(Decimal(value).adjusted()) <= INTEGER_DIGITS


def _to_integer(value: Any) -> int:
    match value:
        case bool() | int():
            return int(value)
        case float() | Decimal() if _has_digits(value) and value == int(value):
            return int(value)
        case str() if INTEGER.fullmatch(value):
            return int(value)
    raise ValueError("not an integer")


def _to_decimal(value: Any) -> Decimal:
    match value:
        case Decimal():
            return value
        case bool():
            return Decimal(int(value))
        case int():
            return Decimal(value)
        case str() if "_" not in value:
            try:
                return Decimal(value)
            except InvalidOperation:
                raise ValueError("not a decimal number") from None
        case float():
            return Decimal(repr(value))
    raise ValueError("not a number")


def _to_float(value: Any) -> float:
    match value:
        case float():
            return value
        case int() | str() | Decimal():
            number = _to_decimal(value)
            found = float(number)
            if math.isinf(found) and number.is_finite():
                raise ValueError("too large for a floating point number")
            return found
    raise ValueError("not a number")


def _to_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = value.strip().lower() if isinstance(value, str) else str(value) if isinstance(value, int) else ""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError("neither true nor false")


def _to_date(value: Any) -> Any:
    match value:
        case datetime():
            if value.time() == time(0):
                return value.date()
            raise ValueError("a time of day where a date is due")
        case date() | FarDate() | Unbounded():
            return value
        case str():
            return _from_iso(date.fromisoformat, value)
    raise ValueError("not a date")


def _to_time(value: Any) -> time | timedelta:
    match value:
        case time():
            return value
        case timedelta() if timedelta(0) <= value < timedelta(days=1):
            return (_MIDNIGHT + value).time()
        case timedelta():
            return value
        case str():
            parsed = _from_iso(time.fromisoformat, value)
            if isinstance(parsed, time):
                return parsed if parsed.tzinfo is None else _in_utc(parsed)
    raise ValueError("not a time of day")


def _in_utc(value: time) -> time:
    return datetime.combine(date(2000, 1, 1), value).astimezone(UTC).time()


def _to_timestamp(value: Any) -> Any:
    match value:
        case datetime():
            return value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
        case date():
            return datetime(value.year, value.month, value.day)  # noqa: DTZ001  zone-less by the column's type
        case FarTimestamp():
            return FarTimestamp(value.micros, zoned=False)
        case FarDate():
            return FarTimestamp(value.days * 86_400_000_000, zoned=False)
        case Unbounded():
            return value
        case str():
            parsed = _from_iso(datetime.fromisoformat, value)
            return parsed if isinstance(parsed, Unbounded) else _to_timestamp(parsed)
    raise ValueError("not a timestamp")


def _to_timestamp_tz(value: Any) -> Any:
    parsed = _to_timestamp(value)
    if isinstance(parsed, datetime):
        return parsed.replace(tzinfo=UTC)
    return FarTimestamp(parsed.micros, zoned=True) if isinstance(parsed, FarTimestamp) else parsed


def _to_interval(value: Any) -> Any:
    match value:
        case timedelta():
            return value
        case time():
            return datetime.combine(_MIDNIGHT.date(), value) - _MIDNIGHT
        case str():
            return value
    raise ValueError("not an interval")


def _to_uuid(value: Any) -> UUID:
    match value:
        case UUID():
            return value
        case bytes() if len(value) == 16:
            return UUID(bytes=value)
        case str():
            try:
                return UUID(value)
            except ValueError:
                raise ValueError("not a UUID") from None
    raise ValueError("not a UUID")


def _to_bytes(value: Any) -> bytes:
    match value:
        case bytes():
            return value
        case str():
            try:
                return base64.b64decode(value, validate=True)
            except binascii.Error:
                raise ValueError("text that is not base64 where bytes are due") from None
    raise ValueError("not bytes")


def _to_json(value: Any) -> Any:
    match value:
        case Unbounded():
            return [value.value]
        case str():
            try:
                json.loads(value)
            except (ValueError, RecursionError):
                return json.dumps(value, ensure_ascii=False)
            return value
        case dict() | list():
            return json.dumps(value, ensure_ascii=False, default=to_text)
        case bool() | int():
            return json.dumps(value)
        case _:
            return json.dumps(to_text(value), ensure_ascii=False)


def _to_array(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    raise ValueError("not an array")


def _from_iso(parse: Callable[[str], Any], text: str) -> Any:
    if text in (Unbounded.INFINITY, Unbounded.NEGATIVE):
        return Unbounded(text)
    try:
        return parse(text.strip())
    except ValueError:
        raise ValueError("not a date or time in ISO 8601") from None


def _micros(value: int, unit: str) -> int:
    if unit == "ns":
        micros, rest = divmod(value, 1000)
        if rest:
            raise ValueError("a time finer than microseconds")
        return micros
    return value * _MICROS_PER_UNIT[unit]


def _timestamp_from_micros(micros: int) -> datetime | FarTimestamp:
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return FarTimestamp(micros, zoned=True)


def _date_from_days(days: int) -> date | FarDate:
    ordinal = _EPOCH_DAYS + days
    return date.fromordinal(ordinal) if 1 <= ordinal <= date.max.toordinal() else FarDate(days)


def _temporal_from_json(target: Kind, unit: str) -> Coercion:
    """Return the coercion of a JSON value without schema to a date, time, timestamp or interval."""
    from_text = _TO[target]
    from_integer: Mapping[Kind, Coercion] = {
        Kind.DATE: _date_from_days,
        Kind.TIME: lambda value: _to_time(timedelta(microseconds=_micros(value, unit))),
        Kind.TIMESTAMP: lambda value: _to_timestamp(_timestamp_from_micros(_micros(value, unit))),
        Kind.TIMESTAMP_TZ: lambda value: _timestamp_from_micros(_micros(value, unit)),
        Kind.INTERVAL: lambda value: timedelta(microseconds=_micros(value, unit)),
    }
    of_integer = from_integer[target]

    def coerce(value: Any) -> Any:
        if type(value) is int:
            return of_integer(value)
        return from_text(value)

    return coerce


_TO: Mapping[Kind, Coercion] = {
    Kind.TEXT: to_text,
    Kind.INTEGER: _to_integer,
    Kind.FLOAT: _to_float,
    Kind.DECIMAL: _to_decimal,
    Kind.BOOLEAN: _to_boolean,
    Kind.DATE: _to_date,
    Kind.TIME: _to_time,
    Kind.TIMESTAMP: _to_timestamp,
    Kind.TIMESTAMP_TZ: _to_timestamp_tz,
    Kind.INTERVAL: _to_interval,
    Kind.UUID: _to_uuid,
    Kind.BYTES: _to_bytes,
    Kind.JSON: _to_json,
    Kind.ARRAY: _to_array,
}
