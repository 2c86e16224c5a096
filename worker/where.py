"""The `where` of a mapping, compiled to a function of a row. Pure.

Three-valued as in SQL: a comparison with null, or between values of unlike types, is unknown, and a row counts only when
the whole condition is true. Numbers compare exactly whatever their types; true and false count as 1 and 0, as the
databases that store booleans as small integers have it; dates and timestamps compare with texts in ISO form.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from math import inf, isnan
from operator import eq, ge, gt, le, lt, ne
from typing import Any, TypeVar
from uuid import UUID

from schemas.change import FarDate, FarTimestamp, Unbounded
from schemas.config import where as tree

Row = Mapping[str, Any]
Truth = bool | None
"""None is SQL's unknown."""

T = TypeVar("T")

_DAY_MICROS = 86_400_000_000
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": eq,
    "<>": ne,
    "<": lt,
    "<=": le,
    ">": gt,
    ">=": ge,
}


@dataclass(frozen=True, slots=True)
class Where:
    """A condition over the exact values of a row; `fields` are those it looks at, and one the row lacks is null."""

    fields: frozenset[str]
    truth: Callable[[Row], Truth]

    def __call__(self, row: Row) -> bool:
        """Whether the condition is true for a row, and not merely unknown."""
        return self.truth(row) is True


def compile_where(text: str) -> Where | str:
    """Return the condition that an SQL text says, or in words why it cannot be used."""
    from schemas.config.where_sql import (  # noqa: PLC0415  its SQL parser takes a tenth of a worker's start
        parse_where,
    )

    condition = parse_where(text)
    if isinstance(condition, tree.Refused):
        return condition.what
    return Where(tree.field_names(condition), _truth(condition))


def _truth(condition: tree.Condition) -> Callable[[Row], Truth]:  # noqa: PLR0911  one return for each form of the tree
    match condition:
        case tree.Constant(holds):
            return lambda _row: holds
        case tree.Comparison(operator, left, right):
            return _comparison(_OPERATORS[operator], _value(left), _value(right))
        case tree.Like(item, pattern, escape):
            return _like(_value(item), like_pattern(pattern, escape))
        case tree.IsNull(item):
            value = _value(item)
            return lambda row: value(row) is None
        case tree.Not(inner):
            truth = _truth(inner)
            return lambda row: None if (known := truth(row)) is None else not known
        case tree.All(conditions):
            return _joined([_truth(each) for each in conditions], ends_it=False)
        case tree.AnyOf(conditions):
            return _joined([_truth(each) for each in conditions], ends_it=True)


def _joined(truths: list[Callable[[Row], Truth]], *, ends_it: bool) -> Callable[[Row], Truth]:
    """Return AND (`ends_it` False: one false decides) or OR (`ends_it` True: one true decides)."""

    def truth(row: Row) -> Truth:
        answer: Truth = not ends_it
        for each in truths:
            known = each(row)
            if known is ends_it:
                return ends_it
            if known is None:
                answer = None
        return answer

    return truth


def _value(operand: tree.Operand) -> Callable[[Row], Any]:
    match operand:
        case tree.FieldName(name):
            return lambda row: row.get(name)
        case tree.Literal(value):
            return lambda _row: value


def _comparison(
    operator: Callable[[Any, Any], bool], left: Callable[[Row], Any], right: Callable[[Row], Any]
) -> Callable[[Row], Truth]:
    def truth(row: Row) -> Truth:
        pair = comparable(left(row), right(row))
        return None if pair is None else operator(*pair)

    return truth


def _like(value: Callable[[Row], Any], pattern: re.Pattern[str]) -> Callable[[Row], Truth]:
    def truth(row: Row) -> Truth:
        text = value(row)
        return pattern.fullmatch(text) is not None if isinstance(text, str) else None

    return truth


def like_pattern(pattern: str, escape: str | None) -> re.Pattern[str]:
    """Return the regular expression of a LIKE pattern: `%` is any text, `_` one character, both literal after `escape`."""
    parts: list[str] = []
    escaped = False
    for character in pattern:
        if not escaped and character == escape:
            escaped = True
            continue
        wild = {"%": ".*", "_": "."}.get(character) if not escaped else None
        parts.append(wild or re.escape(character))
        escaped = False
    return re.compile("".join(parts), re.DOTALL)


def comparable(left: Any, right: Any) -> tuple[Any, Any] | None:
    """Return two values in forms that compare with each other; None where their comparison is unknown."""
    if left is None or right is None:
        return None
    if _is_text(left) and _is_text(right):
        return left, right
    for form in (_number, _moment, _time, _uuid):
        pair: tuple[Any, Any] = form(left), form(right)
        if None not in pair:
            # A database too reads 0.1 as the nearest double when it stands beside one.
            return (float(pair[0]), float(pair[1])) if _mixed(pair) else pair
    return None


def _is_text(value: Any) -> bool:
    # Unbounded is a text by its type only.
    return isinstance(value, str) and not isinstance(value, Unbounded)


def _mixed(pair: tuple[Any, Any]) -> bool:
    return {type(pair[0]), type(pair[1])} == {float, Decimal}


def _number(value: Any) -> int | float | Decimal | None:
    if isinstance(value, Decimal):
        return None if value.is_nan() else value
    if isinstance(value, float):
        return None if isnan(value) else value
    return value if isinstance(value, int) else None


def _moment(value: Any) -> int | float | None:  # noqa: PLR0911  one return for each type
    """Return microseconds since 1970; what is zone-less counts as UTC."""
    match value:
        case Unbounded():
            return inf if value is Unbounded.INFINITY else -inf
        case str():
            return _moment(_read(value, datetime.fromisoformat))
        case datetime():
            since = (value if value.tzinfo else value.replace(tzinfo=UTC)) - _EPOCH
            return since.days * _DAY_MICROS + since.seconds * 1_000_000 + since.microseconds
        case date():
            return (value.toordinal() - _EPOCH_ORDINAL) * _DAY_MICROS
        case FarDate(days):
            return days * _DAY_MICROS
        case FarTimestamp(micros, _):
            return micros
        case _:
            return None


def _time(value: Any) -> time | None:
    if isinstance(value, str):
        value = _read(value, time.fromisoformat)
    return value if isinstance(value, time) and value.tzinfo is None else None


def _uuid(value: Any) -> UUID | None:
    if isinstance(value, str):
        return _read(value, UUID)
    return value if isinstance(value, UUID) else None


def _read(text: str, parse: Callable[[str], T]) -> T | None:
    try:
        return parse(text)
    except ValueError:
        return None
