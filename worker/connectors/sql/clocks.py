"""Durations and fractions of a second, as databases have them. Pure."""

import datetime as dt
from dataclasses import replace
from typing import Any

from schemas.change import FarTimestamp, Kind

CLOCKS = frozenset({Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ, Kind.INTERVAL})
_MICROS_DIGITS = 6


def duration_text(value: dt.timedelta) -> str:
    """Return a duration as ISO 8601 has it, such as `P3DT4.5S`; a negative one with a minus in front."""
    sign, value = ("-", -value) if value < dt.timedelta(0) else ("", value)
    seconds = f"{value.seconds}.{value.microseconds:06}".rstrip("0").rstrip(".")
    return f"{sign}P{value.days}DT{seconds}S"


def clock_text(value: dt.time | dt.timedelta) -> str:
    """Return a time of day, or one beyond a day or before midnight, such as `-30:00:00.5`."""
    if isinstance(value, dt.time):
        return value.isoformat()
    sign = "-" if value < dt.timedelta(0) else ""
    seconds, rest = divmod(abs(value), dt.timedelta(seconds=1))
    return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest.microseconds:06}"


def finest(digits: int) -> int:
    """Return the microseconds in the last of so many decimals of a second."""
    return int(10 ** (_MICROS_DIGITS - digits))


def cut(value: Any, digits: int) -> Any:
    """Return a time with so many decimals of a second, the others cut off: rounding could make it the next day's."""
    unit = finest(digits)
    match value:
        case dt.datetime() | dt.time():
            return value.replace(microsecond=value.microsecond - value.microsecond % unit)
        case dt.timedelta():
            whole = abs(value) // dt.timedelta(microseconds=unit) * dt.timedelta(microseconds=unit)
            return whole if value > dt.timedelta(0) else -whole
        case FarTimestamp(micros):
            return replace(value, micros=micros - micros % unit)
        case _:
            return value
