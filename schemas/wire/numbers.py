"""Numbers and bytes as Debezium and Kafka Connect write them, into exact Python values.

Every reader takes a wire value that is not None and raises ValueError, without the value in its text, when it is none.
"""

import base64
import binascii
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

ReadBytes = Callable[[Any], bytes]

_NO_NUMBERS = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}


def read_bytes(value: Any) -> bytes:
    """Read bytes that came as bytes."""
    if type(value) is not bytes:
        raise ValueError("no bytes")
    return value


def read_base64(value: Any) -> bytes:
    """Read bytes that came as base64 text."""
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise ValueError("no base64 text") from None


def read_float(value: Any) -> float:
    """Read a floating point number, which JSON writes as text where it is none (`NaN`, `Infinity`)."""
    if type(value) is float or type(value) is int:
        return float(value)
    if isinstance(value, str) and value in _NO_NUMBERS:
        return float(_NO_NUMBERS[value])
    raise ValueError("no floating point number")


def decimal_reader(scale: int, to_bytes: ReadBytes) -> Callable[[Any], Decimal]:
    """Return what reads an unscaled big-endian two's complement as a decimal with `scale` digits after the point."""
    exponent = f"E{-scale}"

    def read_decimal(value: Any) -> Decimal:
        return Decimal(f"{int.from_bytes(to_bytes(value), 'big', signed=True)}{exponent}")

    return read_decimal


def variable_decimal_reader(to_bytes: ReadBytes) -> Callable[[Any], Decimal]:
    """Return what reads a struct of `scale` and unscaled `value`."""

    def read_decimal(value: Any) -> Decimal:
        scale, unscaled = _members(value, "scale", "value")
        if type(scale) is not int:
            raise ValueError("no scale")
        return Decimal(f"{int.from_bytes(to_bytes(unscaled), 'big', signed=True)}E{-scale}")

    return read_decimal


def read_decimal_text(value: Any) -> Decimal:
    """Read a decimal written as text."""
    if type(value) is not str:
        raise ValueError("no decimal text")
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ValueError("no decimal text") from None


def bits_reader(length: int, to_bytes: ReadBytes) -> Callable[[Any], str]:
    """Return what reads little-endian bytes as `length` binary digits, the most significant first."""

    def read_bits(value: Any) -> str:
        number = int.from_bytes(to_bytes(value), "little")
        if number.bit_length() > length:
            raise ValueError("more bits than the schema allows")
        return format(number, f"0{length}b")

    return read_bits


def _members(value: Any, *names: str) -> list[Any]:
    if not isinstance(value, dict):
        raise ValueError("no struct")
    try:
        return [value[name] for name in names]
    except KeyError:
        raise ValueError("a struct with a member missing") from None
