"""Dates and times as structs of their parts (`temporal.precision.mode=structured`).

Source: io.debezium.time.Structured* in https://github.com/debezium/debezium
"""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, Final

from schemas.change import FarDate, FarTimestamp, Kind, Unbounded
from schemas.wire.temporal import (
    DAY_US,
    clock_micros,
    days_of,
    duration_of,
    far_or_timestamp,
    month_length,
    read_date,
    time_of,
    zoned_time,
)

_SPECIAL: Final = {"POSITIVE_INFINITY": Unbounded.INFINITY, "NEGATIVE_INFINITY": Unbounded.NEGATIVE}


def read_structured_date(value: Any) -> dt.date | FarDate | Unbounded:
    """Read `year`, `month` and `day`, or a `specialValue`."""
    return _special(value) or read_date(_days(value))


def read_structured_time(value: Any) -> dt.time | dt.timedelta:
    """Read `hour`, `minute`, `second` and `picoseconds` of no zone."""
    return time_of(_time_micros(value))


def read_structured_zoned_time(value: Any) -> dt.time:
    """Read a time of day with its `offsetSeconds`."""
    return zoned_time(_time_micros(value), _number(value, "offsetSeconds"))


def read_structured_timestamp(value: Any) -> dt.datetime | FarTimestamp | Unbounded:
    """Read a date and a time of day of no zone, or a `specialValue`."""
    return _special(value) or far_or_timestamp(_micros(value), zoned=False)


def read_structured_zoned_timestamp(value: Any) -> dt.datetime | FarTimestamp | Unbounded:
    """Read a date and a time of day with `offsetSeconds` into UTC, or a `specialValue`."""
    special = _special(value)
    if special is not None:
        return special
    return far_or_timestamp(_micros(value) - _number(value, "offsetSeconds") * 1_000_000, zoned=True)


def read_structured_duration(value: Any) -> dt.timedelta | str:
    """Read a duration; where it counts years or months, which have no length, it becomes ISO 8601 text."""
    years, months, days = (_number(value, name) for name in ("years", "months", "days"))
    hours, minutes, seconds = (_number(value, name) for name in ("hours", "minutes", "seconds"))
    micros = _fraction_micros(value)
    clock = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros
    if not years and not months:
        return duration_of(days * DAY_US + clock)
    whole, rest = divmod(abs(clock), 1_000_000)
    sign = "-" if clock < 0 else ""
    return f"P{years}Y{months}M{days}DT{sign}{whole}.{rest:06}S"


STRUCTURED: Final[Mapping[str, tuple[Kind, Callable[[Any], Any]]]] = {
    "io.debezium.time.StructuredDate": (Kind.DATE, read_structured_date),
    "io.debezium.time.StructuredTime": (Kind.TIME, read_structured_time),
    "io.debezium.time.StructuredZonedTime": (Kind.TIME, read_structured_zoned_time),
    "io.debezium.time.StructuredTimestamp": (Kind.TIMESTAMP, read_structured_timestamp),
    "io.debezium.time.StructuredZonedTimestamp": (Kind.TIMESTAMP_TZ, read_structured_zoned_timestamp),
    "io.debezium.time.StructuredDuration": (Kind.INTERVAL, read_structured_duration),
}


def _special(value: Any) -> Unbounded | None:
    if not isinstance(value, dict):
        raise ValueError("no struct")  # noqa: TRY004  readers raise ValueError for every wrong value
    name = value.get("specialValue")
    if name is None:
        return None
    if type(name) is not str or name not in _SPECIAL:
        raise ValueError("an unknown special value")
    return _SPECIAL[name]


def _micros(value: Any) -> int:
    return _days(value) * DAY_US + _time_micros(value)


def _days(value: Any) -> int:
    year, month, day = (_number(value, name, default=None) for name in ("year", "month", "day"))
    if not (1 <= month <= 12 and 1 <= day <= month_length(year, month)):
        raise ValueError("no such date")
    return days_of(year, month, day)


def _time_micros(value: Any) -> int:
    hour = _number(value, "hour", default=None)
    return clock_micros(
        hour, _number(value, "minute"), _number(value, "second"), _fraction_micros(value) * 1000
    )


def _fraction_micros(value: Any) -> int:
    micros, rest = divmod(_number(value, "picoseconds"), 1_000_000)
    if rest:
        raise ValueError("finer than microseconds")
    nano_micros, rest = divmod(_number(value, "nanos"), 1000)  # as versions before `picoseconds` had it
    if rest:
        raise ValueError("finer than microseconds")
    return micros + nano_micros


def _number(value: Any, name: str, default: int | None = 0) -> int:
    number = value.get(name) if isinstance(value, dict) else None
    if number is None:
        number = default
    if type(number) is not int:
        raise ValueError("a struct with a part missing, or of another type")
    return number
