"""The `where` of a mapping as a small closed tree: where_sql.py makes it of text, worker/where.py evaluates it."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

Value = str | int | Decimal | bool | None


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written in the condition."""

    value: Value


@dataclass(frozen=True, slots=True)
class FieldName:
    """A field of the source, spelled as the source spells it."""

    name: str


Operand = Literal | FieldName


@dataclass(frozen=True, slots=True)
class Comparison:
    """`left operator right`; the operator is one of = <> < <= > >=."""

    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Like:
    """`item LIKE pattern [ESCAPE escape]`, case-sensitive."""

    item: Operand
    pattern: str
    escape: str | None


@dataclass(frozen=True, slots=True)
class IsNull:
    """`item IS NULL`."""

    item: Operand


@dataclass(frozen=True, slots=True)
class Not:
    """`NOT condition`."""

    condition: "Condition"


@dataclass(frozen=True, slots=True)
class All:
    """Conditions joined by AND."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Conditions joined by OR; IN is one."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Constant:
    """TRUE or FALSE standing alone."""

    holds: bool


Condition = Comparison | Like | IsNull | Not | All | AnyOf | Constant


@dataclass(frozen=True, slots=True)
class Refused:
    """A condition that cannot be used; `what` says why."""

    what: str


def field_names(condition: Condition) -> frozenset[str]:
    """Return the source fields that a condition looks at."""
    return frozenset(_names(condition))


def _names(part: Condition | Operand) -> Iterator[str]:
    match part:
        case FieldName(name):
            yield name
        case Comparison(_, left, right):
            yield from _names(left)
            yield from _names(right)
        case Like(item=item) | IsNull(item):
            yield from _names(item)
        case Not(condition):
            yield from _names(condition)
        case All(conditions) | AnyOf(conditions):
            for condition in conditions:
                yield from _names(condition)
