"""JSON without schema, with no number changed on the way."""

import json
from decimal import Decimal
from typing import Any

import orjson


def parse_exactly(data: bytes) -> Any:
    """Parse JSON; a number that a float would change is a Decimal, one without a fraction an int of any length.

    Raises ValueError for what is no JSON, among it NaN and Infinity, and RecursionError for what is nested too deep.
    """
    document = orjson.loads(data)
    return json.loads(data, parse_float=_number) if _has_float(document) else document


def _has_float(value: Any) -> bool:
    if type(value) is dict:
        return any(map(_has_float, value.values()))
    if type(value) is list:
        return any(map(_has_float, value))
    return type(value) is float


def _number(text: str) -> float | Decimal:
    number = float(text)
    exact = Decimal(text)
    return number if exact == Decimal(repr(number)) else exact
