"""Numbers and bytes as Debezium and Kafka Connect write them, into exact Python values.

Every reader takes a wire value that is not None and raises ValueError, without the value in its text, when it is none.
"""

import binascii
import math
import struct
from collections.abc import Callable
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation
from typing import Any, Final

ReadBytes = Callable[[Any], bytes]

# Python turns no more than 4300 digits into a number; PostgreSQL's numeric has 131072 digits before the point.
_EXACT: Final = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX)
_MOST_BYTES: Final = 1780
_LARGEST_SCALE: Final = 131_072
_NO_NUMBERS: Final = {"NaN": "nan", "Infinity": "inf", "-Infinity": "-inf"}


def read_bytes(value: Any) -> bytes:
    """Read bytes that came as bytes."""
    if type(value) is not bytes:
        raise ValueError("no bytes")
    return value


def read_base64(value: Any) -> bytes:
    """Read bytes that came as base64 text."""
    try:
        return binascii.a2b_base64(value, strict_mode=True)
    except (binascii.Error, TypeError, ValueError):
        raise ValueError("no base64 text") from None


def read_float(value: Any) -> float:
    """Read a floating point number, which JSON writes as text where it is none (`NaN`, `Infinity`)."""
    if type(value) is float or type(value) is int:
        return float(value)
    if isinstance(value, str) and value in _NO_NUMBERS:
        return float(_NO_NUMBERS[value])
    raise ValueError("no floating point number")


def read_single(value: Any) -> float:
    """Read a number of single precision: the shortest one that is the same there, 0.1 and not 0.10000000149011612."""
    if type(value) is not float:
        raise ValueError("no floating point number")
    if not math.isfinite(value):
        return value
    wire = struct.pack("<f", value)
    for digits in range(6, 9):
        short = float(f"{value:.{digits}g}")
        try:
            if struct.pack("<f", short) == wire:
                return short
        except OverflowError:  # rounded up beyond the largest one
            continue
    return float(f"{value:.9g}")


def decimal_reader(scale: int, to_bytes: ReadBytes) -> Callable[[Any], Decimal]:
    """Return what reads an unscaled big-endian two's complement as a decimal with `scale` digits after the point."""

    def read_decimal(value: Any) -> Decimal:
        return _scaled(to_bytes(value), scale)

    return read_decimal


def variable_decimal_reader(to_bytes: ReadBytes) -> Callable[[Any], Decimal]:
    """Return what reads a struct of `scale` and unscaled `value`."""

    def read_decimal(value: Any) -> Decimal:
        scale, unscaled = _members(value, "scale", "value")
        if type(scale) is not int:
            raise ValueError("no scale")
        return _scaled(to_bytes(unscaled), scale)

    return read_decimal


def _scaled(unscaled: bytes, scale: int) -> Decimal:
    if len(unscaled) > _MOST_BYTES or abs(scale) > _LARGEST_SCALE:
        raise ValueError("a decimal with more digits than any app holds")
    # exact at any length, where a detour through text would end at Python's 4,300 digits
    return _EXACT.scaleb(Decimal(int.from_bytes(unscaled, "big", signed=True)), -scale)


def read_decimal_text(value: Any) -> Decimal:
    """Read a decimal written as text."""
    if type(value) is not str:
        raise ValueError("no decimal text")
    try:
        return Decimal(value)
    except InvalidOperation:
        raise ValueError("no decimal text") from None


def bits_reader(length: int, to_bytes: ReadBytes) -> Callable[[Any], str]:
    """Return what reads little-endian bytes as `length` binary digits, the most significant first, after a `B`.

    So PostgreSQL takes it for bits, and nothing takes it for a decimal number.
    """

    def read_bits(value: Any) -> str:
        number = int.from_bytes(to_bytes(value), "little")
        if number.bit_length() > length:
            raise ValueError("more bits than the schema allows")
        return f"B{number:0{length}b}"

    return read_bits


def _members(value: Any, *names: str) -> list[Any]:
    if not isinstance(value, dict):
        raise ValueError("no struct")  # noqa: TRY004  readers raise ValueError for every wrong value
    try:
        return [value[name] for name in names]
    except KeyError:
        raise ValueError("a struct with a member missing") from None
