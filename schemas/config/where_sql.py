"""SQL text to the tree of where.py.

What is not in the tree is refused: `where` must mean the same for every source, so it is no database's dialect.
"""

import re
from decimal import Decimal

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from schemas.config.where import (
    All,
    AnyOf,
    Comparison,
    Condition,
    Constant,
    FieldName,
    IsNull,
    Like,
    Literal,
    Not,
    Operand,
    Refused,
)


class _NotSupported(Exception):  # noqa: N818  control flow inside this file
    """Something that the tree has no place for."""


_OPERATORS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_PLAIN_NAME = re.compile(r"[^\W\d]\w*")
_SUPPORTED = "Supported are and, or, not, = <> < <= > >=, in, between, like, is null, fields, texts, numbers, true, false and null."


def parse_where(text: str) -> Condition | Refused:
    """Return the condition that a text says, or why it is refused."""
    try:
        return _condition(sqlglot.parse_one(text, into=exp.Condition))
    except _NotSupported as problem:
        return Refused(f"{problem}. {_SUPPORTED}")
    except ParseError as error:
        place = error.errors[0] if error.errors else {}
        column = f" at column {place['col']}" if place.get("col") else ""
        return Refused(f"is no SQL condition{column}. {_SUPPORTED}")
    except SqlglotError:
        return Refused("is no SQL condition: a text or a comment in it does not end")
    except RecursionError:
        return Refused("is nested too deep")


def _condition(node: exp.Expr) -> Condition:
    match node:
        case exp.Paren():
            return _condition(node.this)
        case exp.And() | exp.Or():
            parts = tuple(_condition(part) for part in node.flatten())
            return All(parts) if isinstance(node, exp.And) else AnyOf(parts)
        case exp.Not():
            return Not(_condition(node.this))
        case exp.Boolean():
            return Constant(bool(node.this))
        case exp.In() | exp.Between() | exp.Like() | exp.Escape() | exp.Is():
            return _predicate(node)
        case _ if type(node) in _OPERATORS:
            return Comparison(_OPERATORS[type(node)], _operand(node.this), _operand(node.expression))
        case exp.Column():
            raise _NotSupported("a field alone is no condition: compare it, as in blocked = true")
        case _:
            raise _NotSupported(f"{_called(node)} cannot be used here")


def _predicate(node: exp.Expr) -> Condition:
    match node:
        case exp.In():
            _only(node, "this", "expressions")
            item = _operand(node.this)
            if not node.expressions:
                raise _NotSupported("in needs at least one value")
            return AnyOf(tuple(Comparison("=", item, _operand(choice)) for choice in node.expressions))
        case exp.Between():
            _only(node, "this", "low", "high")
            item = _operand(node.this)
            low, high = _operand(node.args["low"]), _operand(node.args["high"])
            return All((Comparison(">=", item, low), Comparison("<=", item, high)))
        case exp.Is():
            if not isinstance(node.expression, exp.Null):
                raise _NotSupported("is can only be followed by null or not null")
            return IsNull(_operand(node.this))
        case exp.Escape():
            escape = _literal_text(node.expression)
            if len(escape) != 1 or not isinstance(node.this, exp.Like):
                raise _NotSupported("escape takes exactly one character, after like")
            return _like(node.this, escape)
        case _:
            return _like(node, None)


def _like(node: exp.Expr, escape: str | None) -> Condition:
    _only(node, "this", "expression", "negate")
    pattern = _literal_text(node.expression)
    if escape is not None and re.search(
        f"(?<!{re.escape(escape)})(?:{re.escape(escape * 2)})*{re.escape(escape)}$", pattern
    ):
        raise _NotSupported("the pattern of like must not end with its escape character")
    like = Like(_operand(node.this), pattern, escape)
    return Not(like) if node.args.get("negate") else like


def _operand(node: exp.Expr) -> Operand:  # noqa: PLR0911  one return for each form that the tree has
    match node:
        case exp.Paren():
            return _operand(node.this)
        case exp.Column():
            return FieldName(_field(node))
        case exp.Literal() if node.is_string:
            return Literal(node.this)
        case exp.Literal():
            return Literal(_number(node.this))
        case exp.Neg() if isinstance(node.this, exp.Literal) and not node.this.is_string:
            return Literal(-_number(node.this.this))
        case exp.Boolean():
            return Literal(bool(node.this))
        case exp.Null():
            return Literal(None)
        case _:
            raise _NotSupported(f"{_called(node)} cannot be compared")


def _field(node: exp.Column) -> str:
    identifier = node.this
    if not isinstance(identifier, exp.Identifier) or node.args.get("table") is not None:
        raise _NotSupported("a field is written without a table before it")
    name: str = identifier.this
    if not identifier.args.get("quoted") and not _PLAIN_NAME.fullmatch(name):
        raise _NotSupported("a field whose name is no plain word stands in double quotes")
    return name


def _number(text: str) -> int | Decimal:
    return int(text) if text.isdecimal() else Decimal(text)


def _literal_text(node: exp.Expr) -> str:
    if isinstance(node, exp.Literal) and node.is_string:
        return str(node.this)
    raise _NotSupported("like takes a text in single quotes")


def _only(node: exp.Expr, *allowed: str) -> None:
    if any(value for name, value in node.args.items() if name not in allowed):
        raise _NotSupported(f"{_called(node)} cannot be used in this form")


def _called(node: exp.Expr) -> str:
    return f'"{node.key.replace("_", " ")}"'
