"""The text form of COPY, built column by column. Pure.

A column of numbers, or of text without a special character, costs one built-in call per value; row by row through
the driver it takes four times as long.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import NoneType
from typing import Any
from uuid import UUID

from schemas.change import FarDate, FarTimestamp, Kind, Unbounded
from worker.connectors.protocol import Column
from worker.connectors.sql.clocks import clock_text
from worker.connectors.sql.exact import DAY_US
from worker.connectors.sql.table import Batch

NULL = "\\N"
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_SPECIAL = ("\\", "\n", "\r", "\t")
_BOOLEANS = {True: "t", False: "f", None: NULL}
_DATED = frozenset({Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMP_TZ})
_PLAIN_DATES = frozenset({dt.date, dt.datetime, NoneType})


_CHUNK_ROWS = 500


def copy_chunks(columns: Sequence[Column], batch: Batch) -> Iterator[bytes]:
    """Yield the rows of a batch, led by their numbers, as the text that COPY FROM STDIN reads.

    In several pieces, as the server reads one while the next is made.
    """
    for start in range(0, len(batch), _CHUNK_ROWS):
        yield copy_text(columns, batch.part(start, start + _CHUNK_ROWS))


def copy_text(columns: Sequence[Column], batch: Batch) -> bytes:
    """Return the rows of a batch, led by their numbers, as one text."""
    texts: list[Iterable[str]] = [map(str, batch.numbers)]
    texts.extend(_column(column, values) for column, values in zip(columns, batch.columns, strict=True))
    lines = list(map("\t".join, zip(*texts, strict=True)))
    lines.append("")
    return "\n".join(lines).encode()


def _column(column: Column, values: Sequence[Any]) -> Iterable[str]:
    nulls = None in values
    if column.kind in _ESCAPED:
        return _escaped(column, values, nulls)
    if column.kind is Kind.BOOLEAN:
        return map(_BOOLEANS.__getitem__, values)
    form: Callable[[Any], str] = _FORMS[column.kind]
    if column.kind in _DATED and _PLAIN_DATES.issuperset(map(type, values)):
        form = str
    if nulls:
        return [NULL if value is None else form(value) for value in values]
    return map(form, values)


def _escaped(column: Column, values: Sequence[Any], nulls: bool) -> Iterable[str]:
    match column.kind:
        case Kind.ARRAY:
            member = Column(column.name, column.element or Kind.UNKNOWN)
            values = [None if value is None else array_text(value, member) for value in values]
        case Kind.UNKNOWN | Kind.BYTES:
            values = ["\\x" + value.hex() if isinstance(value, bytes) else value for value in values]
        case Kind.INTERVAL:
            values = [interval_text(value) if isinstance(value, dt.timedelta) else value for value in values]
        case _:
            pass
    everything = "".join(value for value in values if value is not None) if nulls else "".join(values)
    if any(special in everything for special in _SPECIAL):
        return [NULL if value is None else value.translate(_ESCAPES) for value in values]
    return [NULL if value is None else value for value in values] if nulls else values


def array_text(values: Sequence[Any], member: Column) -> str:
    """Return an array as PostgreSQL writes it, such as `{"a","b",NULL}`."""
    return "{" + ",".join(_member_text(value, member) for value in values) + "}"


def _member_text(value: Any, member: Column) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, list):
        return array_text(value, member)
    text = _plain(value, member.kind)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _plain(value: Any, kind: Kind) -> str:
    match value:
        case bytes():
            return "\\x" + value.hex()
        case dt.timedelta() if kind is not Kind.TIME:
            return interval_text(value)
        case str():
            return str(value)
        case dict() | list():
            return json.dumps(value)
        case _:
            return _FORMS[kind](value)


def interval_text(value: dt.timedelta) -> str:
    """Return a duration in days, seconds and microseconds, exactly."""
    return f"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"


def _date(value: dt.date | FarDate | Unbounded) -> str:
    match value:
        case FarDate(days):
            return _far_date(days)
        case Unbounded():
            return value.value
        case _:
            return value.isoformat()


def _timestamp(value: dt.datetime | FarTimestamp | Unbounded) -> str:
    match value:
        case FarTimestamp(micros):
            days, rest = divmod(micros, DAY_US)
            seconds, fraction = divmod(rest, 1_000_000)
            clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:06}"
            date, _, era = _far_date(days).partition(" ")
            return f"{date} {clock}+00 {era}".rstrip()
        case Unbounded():
            return value.value
        case _:
            return value.isoformat(" ")


def _far_date(days: int) -> str:
    year, month, day = civil_from_days(days)
    return f"{year:04}-{month:02}-{day:02}" if year > 0 else f"{1 - year:04}-{month:02}-{day:02} BC"


def civil_from_days(days: int) -> tuple[int, int, int]:
    """Return year (0 is 1 BC), month and day of a day counted from 1970-01-01 in the proleptic Gregorian calendar."""
    days_per_era = 146_097
    era, day_of_era = divmod(days + 719_468, days_per_era)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)
    return year, month, day_of_year - (153 * shifted_month + 2) // 5 + 1


_ESCAPED = frozenset({Kind.TEXT, Kind.JSON, Kind.ARRAY, Kind.UNKNOWN, Kind.BYTES, Kind.INTERVAL})

_FORMS: dict[Kind, Callable[[Any], str]] = {
    Kind.TEXT: str,
    Kind.INTEGER: str,
    Kind.FLOAT: repr,
    Kind.DECIMAL: str,
    Kind.BOOLEAN: lambda value: _BOOLEANS[value],
    Kind.DATE: _date,
    Kind.TIME: clock_text,
    Kind.TIMESTAMP: _timestamp,
    Kind.TIMESTAMP_TZ: _timestamp,
    Kind.UUID: UUID.__str__,
    Kind.UNKNOWN: str,
    Kind.JSON: str,
}
