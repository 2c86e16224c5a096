"""Exact values as what JSON can say, for the members of a map or a struct."""

import base64
import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

from schemas.change import FarDate, FarTimestamp


def to_plain(value: Any) -> Any:
    """Return a value as JSON has it: bytes as base64, dates in ISO 8601, decimals as text; ValueError where it has none."""
    match value:
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case Decimal() | UUID():
            return str(value)
        case dt.date() | dt.time():
            return value.isoformat()
        case dt.timedelta():
            return f"PT{value / dt.timedelta(seconds=1)}S"
        case FarDate() | FarTimestamp():
            raise ValueError("a date outside the years 1 to 9999 inside a struct")
        case list():
            return [to_plain(each) for each in value]
    return value
