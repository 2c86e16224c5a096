"""The change behind an entry, field by field: before, after, and whether they differ. Pure, but for the schemas it finds."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from schemas.change import Ignored, Op, RecordChange, Shape, Tombstone, Undecodable
from schemas.decoder import Decoder
from schemas.events import OriginalRecord

MASKED = "•••"
LONGEST = 2000
_OPS = {
    Op.CREATE: "The record was created.",
    Op.UPDATE: "The record was changed.",
    Op.DELETE: "The record was deleted.",
    Op.SNAPSHOT: "The record was read as it stood, in a snapshot.",
}

FindSchema = Callable[[int | UUID], str | None]


@dataclass(frozen=True, slots=True)
class Value:
    """One value as text; `kind`: text, null (there is a field, without a value) or absent (there is no such field).

    `bare`: a number or a truth value, which JSON writes without quotes.
    """

    text: str
    kind: str = "text"
    bare: bool = False


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field before and after; `differs` is None where nobody knows what was before."""

    name: str
    before: Value
    after: Value
    differs: bool | None


@dataclass(frozen=True, slots=True)
class ShownChange:
    """What a change did, in a sentence, and its fields; `has_before` and `has_after`: whether that side was sent along."""

    said: str
    fields: tuple[FieldChange, ...] = ()
    has_before: bool = False
    has_after: bool = False


_ABSENT = Value("", "absent")
_NULL = Value("", "null")


def read_change(original: OriginalRecord, find_schema: FindSchema) -> ShownChange:
    """Return the change that a message tells, or why its fields cannot be shown; raises what `find_schema` does."""
    match Decoder(find_schema)(original.key, original.value, original.headers):
        case RecordChange() as change:
            return _shown(change)
        case Tombstone():
            return ShownChange("The message has a key and no value: the record was deleted.")
        case Ignored(reason=reason):
            return ShownChange(f"The message is no change of a record: {reason}")
        case Undecodable(message=message):
            return ShownChange(f"The fields cannot be shown. {message}")


def mask(change: ShownChange) -> ShownChange:
    """Return the change without its values: names of fields, and which differ."""
    return replace(
        change,
        fields=tuple(
            replace(each, before=_masked(each.before), after=_masked(each.after)) for each in change.fields
        ),
    )


def row_of(change: ShownChange) -> dict[str, Value]:
    """Return the values that were to be written, by field: those after, of a deleted record those before."""
    return {each.name: each.after if change.has_after else each.before for each in change.fields}


def _shown(change: RecordChange) -> ShownChange:
    before, after = change.before, change.after
    # in the order of the schema; a side may have fields that the other has not
    names = dict.fromkeys((*change.shape.names, *(after or ()), *(before or ())))
    fields = tuple(_field(name, before, after, change.shape) for name in names)
    return ShownChange(_OPS[change.op], fields, before is not None, after is not None)


def _field(
    name: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, shape: Shape
) -> FieldChange:
    then, now = _value(name, before, shape), _value(name, after, shape)
    known = before is not None and after is not None and "absent" not in {then.kind, now.kind}
    return FieldChange(name, then, now, then != now if known else None)


def _value(name: str, row: Mapping[str, Any] | None, shape: Shape) -> Value:
    if row is None or name not in row:
        return _ABSENT
    wire = row[name]
    if wire is None:
        return _NULL
    read = shape.readers.get(name)
    try:
        value = wire if read is None else read(wire)
    except ValueError:
        value = wire
    return Value(_text(value), bare=isinstance(value, bool | int | float | Decimal))


def _text(value: Any) -> str:
    match value:
        case bool():
            text = "true" if value else "false"
        case bytes():
            text = f"{len(value)} bytes: {base64.b64encode(value).decode()}"
        case _:
            text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"


def _masked(value: Value) -> Value:
    return replace(value, text=MASKED) if value.kind == "text" else value
