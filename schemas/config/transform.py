"""The transformations a field can name, and their parameters; worker/transform.py does them."""

import re
from datetime import date
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from schemas.config.part import Part
from schemas.config.problem import did_you_mean
from schemas.config.scalar import WHOLE, wrong


def _scalar(value: Any) -> Any:
    if value is None or not isinstance(value, str | int | float | date):
        raise wrong("must be a text, a number, true, false or a date")
    return value


Scalar = Annotated[Any, BeforeValidator(_scalar), WithJsonSchema({"type": ["string", "number", "boolean"]})]
PlainName = Literal["trim", "upper", "lower", "title", "remove_non_alphanumeric", "null_if_empty"]


class Plain(Part):
    """A transformation without parameters, written as its bare name."""

    kind: SkipJsonSchema[PlainName]


class Substring(Part):
    """Keep a part of a text."""

    kind: SkipJsonSchema[Literal["substring"]] = "substring"
    start: Annotated[int, Field(ge=0), WHOLE] = 0
    """How many characters to leave out at the start."""
    length: Annotated[int, Field(ge=0), WHOLE] | None = None
    """How many characters to keep; left out: all that follow."""


class Replace(Part):
    """Replace every occurrence of a text."""

    kind: SkipJsonSchema[Literal["replace"]] = "replace"
    old: Annotated[str, Field(min_length=1)]
    """The text to look for."""
    new: str
    """What to put in its place."""


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        reason = error.msg if isinstance(error, re.error) else "it is too large"
        raise wrong(f"is not a regular expression: {reason}") from None
    return text


class RegexReplace(Part):
    """Replace every match of a regular expression."""

    kind: SkipJsonSchema[Literal["regex_replace"]] = "regex_replace"
    pattern: Annotated[str, Field(min_length=1), AfterValidator(_pattern)]
    """A regular expression as Python has them."""
    replacement: Annotated[str, Field(alias="with")]
    """What to put in place of a match; `\\1` is its first group."""

    @model_validator(mode="after")
    def _groups_exist(self) -> Self:
        try:
            # A replacement is parsed at its first match: the added alternative always matches.
            re.sub(f"(?:{self.pattern})|", self.replacement, "")
        except (re.error, IndexError):
            raise wrong(
                "`with` is no valid replacement, or refers to a group that `pattern` has not"
            ) from None
        return self


class Round(Part):
    """Round a number, halves away from zero."""

    kind: SkipJsonSchema[Literal["round"]] = "round"
    digits: Annotated[int, Field(ge=-30, le=30), WHOLE] = 0
    """How many digits to keep after the decimal point."""


class Default(Part):
    """Put a value in place of null."""

    kind: SkipJsonSchema[Literal["default"]] = "default"
    value: Scalar
    """What to write in place of null."""


class DateFormat(Part):
    """Write a date, time or timestamp as text."""

    kind: SkipJsonSchema[Literal["date_format"]] = "date_format"
    format: Annotated[str, Field(min_length=1)]
    """The form, as Python's strftime has it: `%Y-%m-%d`."""


class TransformForm(Part):
    """How a transformation with parameters is written: exactly one of these keys."""

    substring: Substring | None = None
    """Keep a part of a text."""
    replace: Replace | None = None
    """Replace every occurrence of a text."""
    regex_replace: RegexReplace | None = None
    """Replace every match of a regular expression."""
    round: Round | None = None
    """Round a number, halves away from zero."""
    default: Default | None = None
    """Put a value in place of null."""
    date_format: DateFormat | None = None
    """Write a date, time or timestamp as text."""


PLAIN_NAMES: tuple[str, ...] = get_args(PlainName)
FORM_NAMES: tuple[str, ...] = tuple(TransformForm.model_fields)


def _step(written: Any) -> Any:
    """Turn `trim` or `{substring: {start: 1}}` into the tagged form that the model takes."""
    match written:
        case Part():
            return written
        case str():
            if written in FORM_NAMES:
                raise wrong(f"{written} needs its parameters: {{{written}: {{…}}}}")
            return _plain(written)
        case dict() if len(written) == 1:
            name, parameters = next(iter(written.items()))
            if name in PLAIN_NAMES and parameters:
                raise wrong(f"{name} takes no parameters")
            if name not in FORM_NAMES:
                return _plain(name)
            if not isinstance(parameters, dict) or "kind" in parameters:
                raise wrong(f"{name} takes its parameters as keys and values: {{{name}: {{…}}}}")
            return {**parameters, "kind": name}
        case _:
            raise wrong("must be the name of one transformation, or that name with its parameters")


def _plain(name: object) -> dict[str, object]:
    if name not in PLAIN_NAMES:
        known = (*PLAIN_NAMES, *FORM_NAMES)
        raise wrong(
            f'unknown transformation "{name}"; known are {", ".join(known)}.{did_you_mean(str(name), known)}'
        )
    return {"kind": name}


AnyTransform = Plain | Substring | Replace | RegexReplace | Round | Default | DateFormat
Transform = Annotated[
    Annotated[AnyTransform, Field(discriminator="kind")],
    BeforeValidator(_step, json_schema_input_type=PlainName | TransformForm),
]
