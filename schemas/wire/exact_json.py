"""JSON without schema, with no number changed on the way."""

import json
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

import orjson

_MAY_HOLD_FLOATS: Final = frozenset({float, list, dict})


def parse_exactly(data: bytes) -> Any:
    """Parse JSON; a number that a float would change is a Decimal, one without a fraction an int of any length.

    Raises ValueError for what is no JSON, among it NaN and Infinity, and RecursionError for what is nested too deep.
    """
    document = orjson.loads(data)
    return reparse_exactly(data) if has_float(document) else document


def reparse_exactly(data: bytes) -> Any:
    """Parse JSON that orjson has parsed, slower and exactly."""
    return json.loads(data, parse_float=_number)


def has_float(value: Any) -> bool:
    """Tell whether a parsed value is or holds a float, which orjson makes of long integers also."""
    if type(value) is dict:
        return _any_float(value.values())
    if type(value) is list:
        return _any_float(value)
    return type(value) is float


def _any_float(values: Iterable[Any]) -> bool:
    return not _MAY_HOLD_FLOATS.isdisjoint(map(type, values)) and any(map(has_float, values))


def _number(text: str) -> float | Decimal:
    number = float(text)
    exact = Decimal(text)
    return number if exact == Decimal(repr(number)) else exact
