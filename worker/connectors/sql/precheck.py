"""Find the rows that a table's own description rules out, before the database sees them. Pure.

Checks go column by column over the whole bulk, at the speed of the built-in functions: a clean column costs no
Python code per value. Of a column in doubt only the stretches in doubt are looked at value by value.
"""

import datetime as dt
import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from operator import attrgetter
from types import NoneType
from typing import Any
from uuid import UUID

from schemas.change import Kind
from worker.connectors.protocol import Column
from worker.connectors.sql.clocks import CLOCKS, cut, finest
from worker.connectors.sql.exact import Holds, UnfitError, fit_value, unfit
from worker.connectors.sql.table import Batch
from worker.fault import Fault

# a value by itself costs as much as so many together
_STRETCH = 50


def check(
    columns: Sequence[Column], rows: Sequence[tuple[Any, ...]], key: frozenset[str], holds: Holds
) -> tuple[Batch, dict[int, Fault]]:
    """Return the rows that the columns can hold, as exact values, and the faults of the others by row number."""
    faults: dict[int, Fault] = {}
    if not rows:
        return Batch((), [() for _ in columns]), faults
    fitted = [
        _fit_column(column, values, column.name in key or not column.nullable, holds, faults)
        for column, values in zip(columns, zip(*rows, strict=True), strict=True)
    ]
    return Batch(range(len(rows)), fitted).without(frozenset(faults)), faults


def _fit_column(
    column: Column, values: Sequence[Any], required: bool, holds: Holds, faults: dict[int, Fault]
) -> Sequence[Any]:
    if _fits(column, values, required, holds):
        return values
    if column.scale is not None and column.kind in CLOCKS:
        values = [cut(value, column.scale) for value in values]
    fitted: list[Any] = []
    for start in range(0, len(values), _STRETCH):
        stretch = values[start : start + _STRETCH]
        if _fits(column, stretch, required, holds):
            fitted += stretch
        else:
            fitted += _fit_values(column, stretch, required, holds, faults, start)
    return fitted


def _fits(column: Column, values: Sequence[Any], required: bool, holds: Holds) -> bool:
    types = set(map(type, values))
    present: Sequence[Any] = values
    if NoneType in types:
        if required:
            return False
        types.discard(NoneType)
        present = [value for value in values if value is not None]
    return not types or (
        types <= _PLAIN[column.kind]
        and _FITS[column.kind](column, present, holds)
        and not (column.misread and any(map(column.misread, present)))
    )


def _fit_values(
    column: Column,
    values: Sequence[Any],
    required: bool,
    holds: Holds,
    faults: dict[int, Fault],
    first: int,
) -> list[Any]:
    """Return values one by one as the column can hold them; `first` is the number of the first one's row."""
    fitted: list[Any] = []
    for number, value in enumerate(values, first):
        if value is None and required:
            faults.setdefault(number, Fault("required_missing", {"field": column.name}))
        try:
            fitted.append(None if value is None else fit_value(value, column, holds))
        except UnfitError as error:
            fitted.append(None)
            faults.setdefault(number, unfit(column, error))
    return fitted


def _text_fits(column: Column, values: Sequence[str], holds: Holds) -> bool:
    if column.max_length is not None and max(map(len, values)) > column.max_length:
        return False
    everything = "".join(values)
    if not holds.nul_in_text and "\0" in everything:
        return False
    try:
        everything.encode()
    except UnicodeEncodeError:
        return False
    return True


def _integer_fits(column: Column, values: Sequence[int], _holds: Holds) -> bool:
    return (column.minimum is None or min(values) >= column.minimum) and (
        column.maximum is None or max(values) <= column.maximum
    )


def _float_fits(_column: Column, values: Sequence[float], holds: Holds) -> bool:
    return holds.not_a_number or all(map(math.isfinite, values))


def _decimal_fits(column: Column, values: Sequence[Decimal], holds: Holds) -> bool:
    if column.precision is None:
        return holds.decimal_digits is None and all(map(Decimal.is_finite, values))
    if holds.decimal_digits is not None and column.precision > holds.decimal_digits:
        return False
    scale = column.scale or 0
    bound = Decimal(1).scaleb(column.precision - scale)
    return all(map(Decimal(1).scaleb(-scale).same_quantum, values)) and max(map(abs, values)) < bound


_ZONES = frozenset((None, dt.UTC))


def _timestamp_fits(column: Column, values: Sequence[dt.datetime], _holds: Holds) -> bool:
    return _ZONES.issuperset(map(attrgetter("tzinfo"), values)) and _fraction_fits(column, values)


def _time_fits(column: Column, values: Sequence[dt.time], _holds: Holds) -> bool:
    zones = set(map(attrgetter("tzinfo"), values))
    return (column.zoned or zones == {None}) and _fraction_fits(column, values)


def _fraction_fits(column: Column, values: Sequence[dt.datetime] | Sequence[dt.time]) -> bool:
    if column.scale is None:
        return True
    unit = finest(column.scale)
    return not any(value.microsecond % unit for value in values)


def _interval_fits(column: Column, _values: Sequence[dt.timedelta], _holds: Holds) -> bool:
    return column.scale is None


def _bytes_fits(column: Column, values: Sequence[bytes], _holds: Holds) -> bool:
    return column.max_length is None or max(map(len, values)) <= column.max_length


def _always_fits(_column: Column, _values: Sequence[Any], _holds: Holds) -> bool:
    return True


def _never_fits(_column: Column, _values: Sequence[Any], _holds: Holds) -> bool:
    return False


_PLAIN: dict[Kind, frozenset[type]] = {
    Kind.TEXT: frozenset({str}),
    Kind.INTEGER: frozenset({int}),
    Kind.FLOAT: frozenset({float}),
    Kind.DECIMAL: frozenset({Decimal}),
    Kind.BOOLEAN: frozenset({bool}),
    Kind.DATE: frozenset({dt.date}),
    Kind.TIME: frozenset({dt.time}),
    Kind.TIMESTAMP: frozenset({dt.datetime}),
    Kind.TIMESTAMP_TZ: frozenset({dt.datetime}),
    Kind.INTERVAL: frozenset({dt.timedelta}),
    Kind.UUID: frozenset({UUID}),
    Kind.BYTES: frozenset({bytes}),
    Kind.JSON: frozenset(),
    Kind.ARRAY: frozenset(),
    Kind.UNKNOWN: frozenset(),
}

_FITS: dict[Kind, Callable[[Column, Any, Holds], bool]] = {
    Kind.TEXT: _text_fits,
    Kind.INTEGER: _integer_fits,
    Kind.FLOAT: _float_fits,
    Kind.DECIMAL: _decimal_fits,
    Kind.BOOLEAN: _always_fits,
    Kind.DATE: _always_fits,
    Kind.TIME: _time_fits,
    Kind.TIMESTAMP: _timestamp_fits,
    Kind.TIMESTAMP_TZ: _timestamp_fits,
    Kind.INTERVAL: _interval_fits,
    Kind.UUID: _always_fits,
    Kind.BYTES: _bytes_fits,
    Kind.JSON: _never_fits,
    Kind.ARRAY: _never_fits,
    Kind.UNKNOWN: _never_fits,
}
