"""The transformations of a field, composed into one function. Pure.

A step takes and returns exact values of schemas.change. Null stays null but for `default`; a value that a step cannot
work on is a ValueError whose text names the step and the type, never the value.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

from schemas.config.transform import (
    AnyTransform,
    DateFormat,
    Default,
    Plain,
    RegexReplace,
    Replace,
    Round,
    Substring,
)

Step = Callable[[Any], Any]

# Wide enough for every numeric of PostgreSQL that Python can hold.
_EXACT = Context(prec=20_000, rounding=ROUND_HALF_UP)


def compose(transforms: Sequence[AnyTransform]) -> Step | None:
    """Return one function that does all steps in order, None where there are none; the function raises ValueError."""
    steps = [_step(each) for each in transforms]
    if len(steps) < 2:
        return steps[0] if steps else None

    def all_steps(value: Any) -> Any:
        for step in steps:
            value = step(value)
        return value

    return all_steps


def _step(transform: AnyTransform) -> Step:  # noqa: PLR0911  one return for each transformation
    match transform:
        case Plain(kind=kind):
            return _on_text(kind, _PLAIN[kind])
        case Substring(start=start, length=length):
            end = None if length is None else start + length
            return _on_text("substring", lambda text: text[start:end])
        case Replace(old=old, new=new):
            return _on_text("replace", lambda text: text.replace(old, new))
        case RegexReplace(pattern=pattern, replacement=replacement):
            compiled = re.compile(pattern)
            return _on_text("regex_replace", lambda text: compiled.sub(replacement, text))
        case Round(digits=digits):
            return lambda value: None if value is None else _rounded(value, digits)
        case Default(value=default):
            return lambda value: default if value is None else value
        case DateFormat(format=form):
            return lambda value: None if value is None else _formatted(value, form)


def _on_text(name: str, change: Callable[[str], str | None]) -> Step:
    def step(value: Any) -> Any:
        if isinstance(value, str):
            return change(value)
        if value is None:
            return None
        raise ValueError(f"{name} works on text, not on {type(value).__name__}")

    return step


_PLAIN: Mapping[str, Callable[[str], str | None]] = {
    "trim": str.strip,
    "upper": str.upper,
    "lower": str.lower,
    "title": lambda text: re.sub(r"[^\W\d_]+('[^\W\d_]+)?", lambda word: word[0].capitalize(), text),
    "remove_non_alphanumeric": lambda text: "".join(filter(str.isalnum, text)),
    "null_if_empty": lambda text: text or None,
}


def _rounded(value: Any, digits: int) -> Any:
    match value:
        case bool():
            raise ValueError("round works on numbers, not on bool")
        case int():
            return value if digits >= 0 else int(_to_digits(Decimal(value), digits))
        case float():
            # The shortest text of a float is the number people see: 2.675 rounds to 2.68.
            return float(_to_digits(Decimal(repr(value)), digits))
        case Decimal():
            return _to_digits(value, digits)
        case _:
            raise ValueError(f"round works on numbers, not on {type(value).__name__}")


def _to_digits(value: Decimal, digits: int) -> Decimal:
    if not value.is_finite():
        return value
    try:
        rounded = value.quantize(Decimal(1).scaleb(-digits), context=_EXACT)
    except InvalidOperation:
        raise ValueError("round: the number has too many digits") from None
    # Rounding to tens leaves an exponent that databases would write as 1E+1.
    return rounded if digits >= 0 else rounded.quantize(Decimal(1), context=_EXACT)


def _formatted(value: Any, form: str) -> str:
    if isinstance(value, date | datetime | time):
        return value.strftime(form)
    raise ValueError(f"date_format works on dates, times and timestamps, not on {type(value).__name__}")
