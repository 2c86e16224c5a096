"""Dates and times as Debezium and Kafka Connect write them, into exact Python values.

Every reader takes a wire value that is not None and raises ValueError, without the value in its text, when it is none.
Source: https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-temporal-types
"""

import datetime as dt
import re
from typing import Any, Final

from schemas.change import FarDate, FarTimestamp, Unbounded

_EPOCH: Final = dt.datetime(1970, 1, 1)  # noqa: DTZ001  zone-less timestamps count from a zone-less epoch
_EPOCH_UTC: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_EPOCH_ORDINAL: Final = dt.date(1970, 1, 1).toordinal()
_LAST_ORDINAL: Final = dt.date.max.toordinal()
DAY_US: Final = 86_400_000_000
_MICRO: Final = dt.timedelta(microseconds=1)

# What the PostgreSQL driver takes for infinity (org.postgresql.PGStatement), read as microseconds by Debezium; its
# millisecond and nanosecond forms follow from that.
_INFINITY_US: Final = 9_223_372_036_825_200_000
_NEGATIVE_INFINITY_US: Final = -9_223_372_036_832_400_000


def days_of(year: int, month: int, day: int) -> int:
    """Return the days since 1970-01-01 of a date of the proleptic Gregorian calendar, year 0 being 1 BC."""
    year -= month <= 2
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468


# The dates that Debezium writes for a date of PostgreSQL without end; the first one before version 3.6.
_UNBOUNDED_DAYS: Final = {
    days_of(-5877611, 6, 21): Unbounded.INFINITY,
    days_of(5877611, 6, 21): Unbounded.INFINITY,
    days_of(-5877611, 6, 22): Unbounded.NEGATIVE,
}


def read_date(value: Any) -> dt.date | FarDate | Unbounded:
    """Read days since 1970-01-01."""
    if type(value) is not int:
        raise ValueError("no number of days")
    ordinal = value + _EPOCH_ORDINAL
    if 1 <= ordinal <= _LAST_ORDINAL:
        return dt.date.fromordinal(ordinal)
    return _UNBOUNDED_DAYS.get(value) or FarDate(value)


def far_or_timestamp(micros: int, *, zoned: bool) -> dt.datetime | FarTimestamp | Unbounded:
    """Return microseconds since 1970 as a timestamp, a far or unbounded one where Python has none."""
    return _timestamp(micros, 1, zoned=zoned)


def read_timestamp_millis(value: Any) -> dt.datetime | FarTimestamp | Unbounded:
    """Read a zone-less timestamp in milliseconds since 1970."""
    return _timestamp(value, 1000, zoned=False)


def read_timestamp_micros(value: Any) -> dt.datetime | FarTimestamp | Unbounded:
    """Read a zone-less timestamp in microseconds since 1970."""
    return _timestamp(value, 1, zoned=False)


def read_timestamp_nanos(value: Any) -> dt.datetime | FarTimestamp | Unbounded:
    """Read a zone-less timestamp in nanoseconds since 1970; finer than microseconds is refused, not rounded."""
    return far_or_timestamp(_whole_micros(value), zoned=False)


def read_instant_millis(value: Any) -> dt.datetime | FarTimestamp | Unbounded:
    """Read an instant in milliseconds since 1970 UTC."""
    return _timestamp(value, 1000, zoned=True)


def read_instant_micros(value: Any) -> dt.datetime | FarTimestamp | Unbounded:
    """Read an instant in microseconds since 1970 UTC."""
    return _timestamp(value, 1, zoned=True)


def read_instant_nanos(value: Any) -> dt.datetime | FarTimestamp | Unbounded:
    """Read an instant in nanoseconds since 1970 UTC; finer than microseconds is refused, not rounded."""
    return far_or_timestamp(_whole_micros(value), zoned=True)


def read_time_millis(value: Any) -> dt.time | dt.timedelta:
    """Read a time of day in milliseconds; beyond a day, as MySQL has it, a duration."""
    if type(value) is not int:
        raise ValueError("no time of day")
    return time_of(value * 1000)


def read_time_micros(value: Any) -> dt.time | dt.timedelta:
    """Read a time of day in microseconds; beyond a day, as MySQL has it, a duration."""
    if type(value) is not int:
        raise ValueError("no time of day")
    return time_of(value)


def read_time_nanos(value: Any) -> dt.time | dt.timedelta:
    """Read a time of day in nanoseconds; finer than microseconds is refused, not rounded."""
    return time_of(_whole_micros(value))


def read_duration_micros(value: Any) -> dt.timedelta:
    """Read a duration in microseconds."""
    if type(value) is not int:
        raise ValueError("no duration")
    return duration_of(value)


def read_duration_nanos(value: Any) -> dt.timedelta:
    """Read a duration in nanoseconds; finer than microseconds is refused, not rounded."""
    return duration_of(_whole_micros(value))


def time_of(micros: int) -> dt.time | dt.timedelta:
    """Return microseconds since midnight as a time of day, or as a duration where no day has that time."""
    if 0 <= micros < DAY_US:
        return (_EPOCH + micros * _MICRO).time()
    return duration_of(micros)


_ISO_DATE = re.compile(r"([+-]?\d{4,9})-(\d\d)-(\d\d)", re.ASCII)
_ISO_TIME = re.compile(r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?", re.ASCII)
_ISO_ZONE = re.compile(r"Z|([+-])(\d\d)(?::?(\d\d))?(?::?(\d\d))?", re.ASCII)


def read_iso_date(value: Any) -> dt.date | FarDate | Unbounded:
    """Read an ISO 8601 date, such as `1980-02-29`, `-0043-03-15` (44 BC), `infinity`; a zone after it is let go."""
    text = _text(value)
    if (unbounded := _unbounded(text)) is not None:
        return unbounded
    found = _ISO_DATE.match(text)
    if found is None or not (found.end() == len(text) or _ISO_ZONE.fullmatch(text, found.end())):
        raise ValueError("no ISO 8601 date")
    return read_date(_days(found))


def read_iso_time(value: Any) -> dt.time | dt.timedelta:
    """Read an ISO 8601 time of day; a zone of UTC after it is let go, any other is refused."""
    text = _text(value)
    found = _ISO_TIME.match(text)
    if found is None or text[found.end() :] not in {"", "Z", "+00:00", "+00"}:
        raise ValueError("no ISO 8601 time")
    return time_of(_clock_micros(found))


def read_zoned_time(value: Any) -> dt.time:
    """Read an ISO 8601 time of day with a zone."""
    text = _text(value)
    found = _ISO_TIME.match(text)
    zone = _ISO_ZONE.fullmatch(text, found.end()) if found else None
    if found is None or zone is None:
        raise ValueError("no ISO 8601 time with a zone")
    return zoned_time(_clock_micros(found), _offset_s(zone))


def zoned_time(micros: int, offset_s: int) -> dt.time:
    """Return microseconds since midnight in a zone as a time of day."""
    time = time_of(micros)
    if not isinstance(time, dt.time) or abs(offset_s) >= 86_400:
        raise ValueError("no time of day: 24:00:00 or more")
    zone = dt.timezone(dt.timedelta(seconds=offset_s)) if offset_s else dt.UTC
    return time.replace(tzinfo=zone)


def read_zoned_timestamp(value: Any) -> dt.datetime | FarTimestamp | Unbounded:
    """Read an ISO 8601 timestamp with a zone into UTC, or `infinity`; finer than microseconds is refused."""
    try:
        # Up to this length there are at most six digits of a second, which is all that fromisoformat reads.
        if len(value) <= 27 and value[-1] == "Z" and value[4] == "-":
            return dt.datetime.fromisoformat(value)
    except (TypeError, ValueError, LookupError):
        pass
    return _iso_timestamp(_text(value), zoned=True)


def read_iso_timestamp(value: Any) -> dt.datetime | FarTimestamp | Unbounded:
    """Read an ISO 8601 timestamp of no zone; Debezium writes a `Z` after it, which is let go."""
    return _iso_timestamp(_text(value), zoned=False)


_INTERVAL = re.compile(
    r"-?P(?=[-+\dT])(?:[-+]?\d+Y)?(?:[-+]?\d+M)?(?:[-+]?\d+W)?(?:[-+]?\d+D)?"
    r"(?:T(?=[-+\d])(?:[-+]?\d+H)?(?:[-+]?\d+M)?(?:[-+]?\d+(?:\.\d+)?S)?)?",
    re.ASCII,
)


def read_interval(value: Any) -> str:
    """Read an ISO 8601 interval; it stays text, as years and months have no length."""
    text = _text(value)
    if _INTERVAL.fullmatch(text) is None:
        raise ValueError("no ISO 8601 interval")
    return text


def _timestamp(value: Any, micros: int, *, zoned: bool) -> dt.datetime | FarTimestamp | Unbounded:
    if type(value) is not int:
        raise ValueError("no timestamp")
    try:
        return (_EPOCH_UTC if zoned else _EPOCH) + value * micros * _MICRO
    except OverflowError:
        if value in (_INFINITY_US, _INFINITY_US // micros):
            return Unbounded.INFINITY
        if value in (_NEGATIVE_INFINITY_US, _NEGATIVE_INFINITY_US // micros):
            return Unbounded.NEGATIVE
        return FarTimestamp(value * micros, zoned)


def _iso_timestamp(text: str, *, zoned: bool) -> dt.datetime | FarTimestamp | Unbounded:
    if (unbounded := _unbounded(text)) is not None:
        return unbounded
    date = _ISO_DATE.match(text)
    clock = (
        _ISO_TIME.match(text, date.end() + 1)
        if date and text[date.end() : date.end() + 1] in {"T", " "}
        else None
    )
    if date is None or clock is None:
        raise ValueError("no ISO 8601 timestamp")
    zone = _ISO_ZONE.fullmatch(text, clock.end())
    if zone is None and (zoned or clock.end() != len(text)):
        raise ValueError("no ISO 8601 timestamp with a zone")
    offset_s = _offset_s(zone) if zone else 0
    if offset_s and not zoned:
        raise ValueError("a zone where none is due")
    return far_or_timestamp(_days(date) * DAY_US + _clock_micros(clock) - offset_s * 1_000_000, zoned=zoned)


def _unbounded(text: str) -> Unbounded | None:
    match text.lower():
        case "infinity" | "+infinity":
            return Unbounded.INFINITY
        case "-infinity":
            return Unbounded.NEGATIVE
    return None


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ValueError("no text")
    return value


def _days(found: re.Match[str]) -> int:
    year, month, day = map(int, found.groups())
    if not (1 <= month <= 12 and 1 <= day <= month_length(year, month)):
        raise ValueError("no such date")
    return days_of(year, month, day)


def month_length(year: int, month: int) -> int:
    """Return how many days a month has."""
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in {4, 6, 9, 11} else 31


def _clock_micros(found: re.Match[str]) -> int:
    hours, minutes, seconds, fraction = found.groups(default="0")
    nanos = int(fraction.ljust(9, "0"))
    return clock_micros(int(hours), int(minutes), int(seconds), nanos)


def clock_micros(hours: int, minutes: int, seconds: int, nanos: int) -> int:
    """Return a time of day in microseconds since midnight; 24:00:00 is one."""
    if not (0 <= hours <= 24 and 0 <= minutes < 60 and 0 <= seconds < 60 and 0 <= nanos < 1_000_000_000):
        raise ValueError("no such time of day")
    total = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + _whole_micros(nanos)
    if total > DAY_US:
        raise ValueError("no such time of day")
    return total


def _offset_s(zone: re.Match[str]) -> int:
    sign, hours, minutes, seconds = zone.groups(default="0")
    offset = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    return -offset if sign == "-" else offset


def _whole_micros(nanos: Any) -> int:
    if type(nanos) is not int:
        raise ValueError("no number of nanoseconds")
    micros, rest = divmod(nanos, 1000)
    if rest:
        raise ValueError("finer than microseconds")
    return micros


def duration_of(micros: int) -> dt.timedelta:
    """Return microseconds as a duration."""
    try:
        return dt.timedelta(microseconds=micros)
    except OverflowError:
        raise ValueError("a duration of more than 999999999 days") from None
