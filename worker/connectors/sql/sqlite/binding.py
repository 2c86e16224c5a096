"""Exact values as SQLite stores them: numbers, text, bytes. Pure."""

import datetime as dt
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from schemas.change import Kind
from worker.connectors.protocol import Column
from worker.connectors.sql.clocks import duration_text


def bind(column: Column, values: Sequence[Any]) -> Sequence[Any]:
    """Return the values of a column as the driver takes them."""
    form = _FORMS.get(column.kind)
    return values if form is None else [None if value is None else form(value) for value in values]


def _decimal(value: Decimal) -> int | str:
    # Text of a number becomes a number again in a numeric column; an integer must not go through a float.
    return int(value) if value == value.to_integral_value() and abs(value) < 2**63 else format(value, "f")


def _timestamp(value: dt.datetime) -> str:
    return value.replace(tzinfo=None).isoformat(" ")


def _zoned(value: dt.datetime) -> str:
    return value.replace(tzinfo=dt.UTC).isoformat(" ")


def _interval(value: dt.timedelta | str) -> str:
    return value if isinstance(value, str) else duration_text(value)


_FORMS: dict[Kind, Callable[[Any], Any]] = {
    Kind.DECIMAL: _decimal,
    Kind.BOOLEAN: int,
    Kind.DATE: dt.date.isoformat,
    Kind.TIME: dt.time.isoformat,
    Kind.TIMESTAMP: _timestamp,
    Kind.TIMESTAMP_TZ: _zoned,
    Kind.INTERVAL: _interval,
    Kind.UUID: str,
}
