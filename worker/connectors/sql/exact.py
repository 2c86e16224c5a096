"""One value made what a column holds, without loss, or the reason why it cannot be. Pure."""

import datetime as dt
import json
import math
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from schemas.change import FarDate, FarTimestamp, Kind, Unbounded
from worker.coerce import INTEGER, INTEGER_DIGITS
from worker.connectors.protocol import Column
from worker.connectors.sql.clocks import CLOCKS, cut, duration_text
from worker.fault import Fault

EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  zone-less timestamps count from a zone-less epoch
DAY_US = 86_400_000_000
_DAY = dt.timedelta(days=1)
_INTEGER_64 = 2**63


@dataclass(frozen=True, slots=True)
class Holds:
    """What a database can hold beyond what all of them hold; `clock` is the least and the greatest time of day."""

    far_dates: bool = False
    not_a_number: bool = False
    nul_in_text: bool = True
    arrays: bool = False
    decimal_digits: int | None = None
    clock: tuple[dt.timedelta, dt.timedelta] = (dt.timedelta(0), _DAY - dt.timedelta.resolution)


class UnfitError(Exception):
    """A value that a column cannot hold; carries the code and the parameters of the fault, never the value."""

    def __init__(self, code: str, **parameters: str) -> None:
        super().__init__(code)
        self.code = code
        self.parameters = parameters


def fit_value(value: Any, column: Column, holds: Holds) -> Any:
    """Return what the column holds for `value` (not None); UnfitError when it holds nothing equal."""
    if column.max_length is not None and column.kind is Kind.UNKNOWN:
        return _text(value, column, holds)
    fitted = _FIT[column.kind](value, column, holds)
    if column.scale is not None and column.kind in CLOCKS:
        fitted = cut(fitted, column.scale)
    if column.misread is not None and (held := column.misread(fitted)):
        raise UnfitError("out_of_range", limit=held)
    return fitted


def unfit(column: Column, error: UnfitError) -> Fault:
    """Return the fault of an UnfitError in a column."""
    return Fault(error.code, {"field": column.name, **error.parameters})


def _wrong(column: Column) -> UnfitError:
    return UnfitError("wrong_type", expected=column.kind.value)


def _out_of_range(column: Column) -> UnfitError:
    return UnfitError("out_of_range", limit=describe_limit(column))


def describe_limit(column: Column) -> str:
    """Return the limit of a column in words."""
    if column.minimum is not None and column.maximum is not None:
        return f"{column.minimum} to {column.maximum}"
    if column.kind is Kind.DECIMAL and column.precision is not None:
        return f"{column.precision} digits, {column.scale or 0} of them decimals"
    return column.kind.value


def _text(value: Any, column: Column, holds: Holds) -> str:
    text = value if isinstance(value, str) else _as_text(value, column)
    if not holds.nul_in_text and "\0" in text:
        raise _wrong(column)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _wrong(column) from None
    if column.max_length is not None and len(text.rstrip(" ")) > column.max_length:
        raise UnfitError("too_long", limit=str(column.max_length), length=str(len(text)))
    return str(text)


def _as_text(value: Any, column: Column) -> str:  # noqa: PLR0911  one a type
    match value:
        case Unbounded():
            return value.value
        case bool():
            return "true" if value else "false"
        case int() | float() | UUID():
            return str(value)
        case Decimal():
            return format(value, "f") if value.is_finite() else str(value)
        case dt.date() | dt.time():
            return value.isoformat()
        case dt.timedelta():
            return duration_text(value)
        case dict() | list():
            return json_text(value, column)
        case _:
            raise _wrong(column)


def json_text(value: Any, column: Column) -> str:
    """Return a JSON value as text; a str is JSON text already."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_json_default
        )
    except (TypeError, ValueError, RecursionError):
        raise _wrong(column) from None


def _json_default(value: Any) -> Any:
    match value:
        case Decimal() if value == value.to_integral_value():
            return int(value)
        case Decimal() | UUID() | dt.date() | dt.time():
            return str(value)
        case _:
            raise TypeError


def _json(value: Any, column: Column, holds: Holds) -> str:
    text = json_text(value, column)
    if not holds.nul_in_text and ("\0" in text or "\\u0000" in text):
        raise _wrong(column)
    return _text(text, column, holds)


def _integer(value: Any, column: Column, _holds: Holds) -> int:
    match value:
        case bool() | int():
            number = int(value)
        case Decimal() | float():
            number = _whole(value, column)
        case str() if INTEGER.fullmatch(value):
            number = int(value)
        case _:
            raise _wrong(column)
    if (column.minimum is not None and number < column.minimum) or (
        column.maximum is not None and number > column.maximum
    ):
        raise _out_of_range(column)
    return number


def _whole(value: Decimal | float, column: Column) -> int:
    exact = Decimal(value)
    if not exact.is_finite() or exact.adjusted() > INTEGER_DIGITS:
        raise _out_of_range(column)
    if exact != exact.to_integral_value():
        raise _wrong(column)
    return int(exact)


def _decimal(value: Any, column: Column, holds: Holds) -> Decimal:
    try:
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        raise _wrong(column) from None
    if isinstance(value, bool):
        raise _wrong(column)
    if number.is_nan():
        if holds.not_a_number:
            return Decimal("NaN")
        raise _out_of_range(column)
    if number.is_infinite():
        if holds.not_a_number and column.precision is None:
            return number
        raise _out_of_range(column)
    if not _decimal_fits(number, column, holds):
        raise _out_of_range(column)
    return number


def _decimal_fits(number: Decimal, column: Column, holds: Holds) -> bool:
    _sign, digits, exponent = number.as_tuple()
    if not any(digits):
        return True
    assert isinstance(exponent, int)  # noqa: S101  finite numbers have one
    zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    significant, exponent = len(digits) - zeros, exponent + zeros
    if holds.decimal_digits is not None and not _double_fits(number, significant, holds.decimal_digits):
        return False
    if column.precision is None:
        return True
    scale = column.scale or 0
    return -exponent <= scale and number.adjusted() < column.precision - scale


def _double_fits(number: Decimal, significant: int, digits: int) -> bool:
    """Whether a database holds a decimal that keeps it as an integer of 64 bits, or else as a double."""
    if number.adjusted() > sys.float_info.max_10_exp - 1:
        return False
    return significant <= digits or (number == number.to_integral_value() and abs(number) < _INTEGER_64)


def _float(value: Any, column: Column, holds: Holds) -> float:
    if isinstance(value, bool) or not isinstance(value, float | int | Decimal | str):
        raise _wrong(column)
    try:
        number = float(value)
    except OverflowError:
        raise _out_of_range(column) from None
    except ValueError:
        raise _wrong(column) from None
    if not holds.not_a_number and not math.isfinite(number):
        raise _out_of_range(column)
    return number


_TRUTH = {"true": True, "false": False, "t": True, "f": False, "1": True, "0": False}


def _boolean(value: Any, column: Column, _holds: Holds) -> bool:
    match value:
        case bool():
            return value
        case int() if value in {0, 1}:
            return bool(value)
        case str() if value.lower() in _TRUTH:
            return _TRUTH[value.lower()]
        case _:
            raise _wrong(column)


def _date(value: Any, column: Column, holds: Holds) -> dt.date | FarDate | Unbounded:
    match value:
        case FarDate() | Unbounded():
            if not holds.far_dates:
                raise _out_of_range(column)
            return value
        case dt.datetime():
            if value.time() != dt.time.min:
                raise _wrong(column)
            return value.date()
        case dt.date():
            return value
        case FarTimestamp() if value.micros % DAY_US == 0 and holds.far_dates:
            return FarDate(value.micros // DAY_US)
        case str():
            return _parsed(dt.date.fromisoformat, value, column)  # type: ignore[no-any-return]  # the parser given decides
        case _:
            raise _wrong(column)


def _timestamp(value: Any, column: Column, holds: Holds) -> dt.datetime | FarTimestamp | Unbounded:
    match value:
        case FarTimestamp() | Unbounded():
            if not holds.far_dates:
                raise _out_of_range(column)
            return value
        case FarDate():
            if not holds.far_dates:
                raise _out_of_range(column)
            return FarTimestamp(value.days * DAY_US, zoned=False)
        case dt.datetime():
            return _utc(value, column)
        case dt.date():
            return dt.datetime(value.year, value.month, value.day)  # noqa: DTZ001  read as UTC by the session
        case str():
            return _utc(_parsed(dt.datetime.fromisoformat, value, column), column)
        case _:
            raise _wrong(column)


def _utc(value: dt.datetime, column: Column) -> dt.datetime:
    if value.tzinfo is None:
        return value
    try:
        return value.astimezone(dt.UTC)
    except OverflowError:
        raise _out_of_range(column) from None


def _parsed(parse: Callable[[str], Any], text: str, column: Column) -> Any:
    try:
        return parse(text)
    except ValueError:
        raise _wrong(column) from None


def _time(value: Any, column: Column, holds: Holds) -> dt.time | dt.timedelta:
    match value:
        case dt.time() if value.tzinfo is None or column.zoned:
            return value
        case dt.time():
            return dt.datetime.combine(EPOCH, value).astimezone(dt.UTC).time()
        case dt.timedelta() if dt.timedelta(0) <= value < _DAY:
            return (EPOCH + value).time()
        case dt.timedelta() if holds.clock[0] <= value <= holds.clock[1]:
            return value
        case dt.timedelta():
            raise _out_of_range(column)
        case str():
            return _time(_parsed(dt.time.fromisoformat, value, column), column, holds)
        case _:
            raise _wrong(column)


def _interval(value: Any, column: Column, holds: Holds) -> dt.timedelta | str:
    match value:
        case dt.timedelta():
            return value
        case str():
            return _text(value, column, holds)
        case _:
            raise _wrong(column)


def _uuid(value: Any, column: Column, _holds: Holds) -> UUID:
    match value:
        case UUID():
            return value
        case str():
            return _parsed(UUID, value, column)  # type: ignore[no-any-return]  # the parser given decides
        case _:
            raise _wrong(column)


def _bytes(value: Any, column: Column, _holds: Holds) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise _wrong(column)
    data = bytes(value)
    if column.max_length is not None and len(data) > column.max_length:
        raise UnfitError("too_long", limit=str(column.max_length), length=str(len(data)))
    return data


def _array(value: Any, column: Column, holds: Holds) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise _wrong(column)
    member = Column(
        column.name,
        column.element or Kind.UNKNOWN,
        max_length=column.max_length,
        precision=column.precision,
        scale=column.scale,
        minimum=column.minimum,
        maximum=column.maximum,
        zoned=column.zoned,
    )
    return [_member(item, column, member, holds) for item in value]


def _member(item: Any, column: Column, member: Column, holds: Holds) -> Any:
    if item is None:
        return None
    if isinstance(item, list | tuple) and member.kind is not Kind.JSON:
        return _array(item, column, holds)
    return fit_value(item, member, holds)


_BITS = re.compile("B[01]+")


def _unknown(value: Any, column: Column, holds: Holds) -> Any:
    if column.maximum is not None:
        bits = isinstance(value, str) and _BITS.fullmatch(value)
        return _integer(int(value[1:], 2) if bits else value, column, holds)
    return bytes(value) if isinstance(value, bytes | bytearray) else _text(value, column, holds)


_FIT: dict[Kind, Callable[[Any, Column, Holds], Any]] = {
    Kind.TEXT: _text,
    Kind.INTEGER: _integer,
    Kind.FLOAT: _float,
    Kind.DECIMAL: _decimal,
    Kind.BOOLEAN: _boolean,
    Kind.DATE: _date,
    Kind.TIME: _time,
    Kind.TIMESTAMP: _timestamp,
    Kind.TIMESTAMP_TZ: _timestamp,
    Kind.INTERVAL: _interval,
    Kind.UUID: _uuid,
    Kind.BYTES: _bytes,
    Kind.JSON: _json,
    Kind.ARRAY: _array,
    Kind.UNKNOWN: _unknown,
}
