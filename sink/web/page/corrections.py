"""Corrected values for one replay: which target fields there are, and what was changed in the form."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.catalogue import Scope
from schemas.config.mapping import FieldConfig, MappingConfig
from schemas.config.model import Config
from sink.console.inert import inert
from sink.store.entries import Entry
from sink.web.page.change import LONGEST, ShownChange, Value, row_of


@dataclass(frozen=True, slots=True)
class Field:
    """A target field and what the change would write there; `now` is None where that is not known here.

    `origin` says where the value comes from, `editable` is what the form begins with.
    """

    name: str
    origin: str
    now: Value | None
    editable: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Correction:
    """One corrected value: the field as it was, and what is to be written instead."""

    field: Field
    wanted: Value


def correctable(config: Config, entry: Entry, change: ShownChange | None) -> bool:
    """Return whether there is anything to correct: a change of one record, in a mapping whose target fields are known."""
    return bool(target_fields(config, entry, change))


def target_fields(config: Config, entry: Entry, change: ShownChange | None) -> list[Field]:
    """Return the target fields that can be corrected: all but those of the key."""
    mapping = config.mappings.get(entry.mapping)
    deletes = change is not None and change.has_before and not change.has_after
    if (
        mapping is None
        or deletes
        or entry.scope == Scope.APP
        or entry.position is None
        or entry.origin != "instep"
    ):
        return []
    row = {} if change is None else row_of(change)
    failed = _failed_fields(entry)
    return [
        _field(each, row, failed)
        for each in _configured(mapping, row)
        if each.target not in mapping.target.key
    ]


def corrections(fields: Sequence[Field], typed: Mapping[str, str], empty: frozenset[str]) -> list[Correction]:
    """Return what was changed: `typed` by field, `empty` are fields that shall have no value."""
    changed = []
    for field in fields:
        text = typed.get(field.name, field.editable).replace("\r\n", "\n")
        if field.name in empty:
            if field.now is None or field.now.kind != "null":
                changed.append(Correction(field, Value("", "null")))
        elif text != field.editable:
            changed.append(Correction(field, Value(text, bare=_is_bare(field, text))))
    return changed


def as_json(corrected: Sequence[Correction]) -> dict[str, str]:
    """Return the corrected values by target field, each as JSON text."""
    return {
        each.field.name: "null" if each.wanted.kind == "null"
        else each.wanted.text.strip() if each.wanted.bare
        else json.dumps(each.wanted.text)
        for each in corrected
    }  # fmt: skip


def _configured(mapping: MappingConfig, row: Mapping[str, Value]) -> Sequence[FieldConfig]:
    if mapping.fields is not None:
        return mapping.fields
    named = dict(zip(mapping.source.key, mapping.target.key, strict=False))
    return [FieldConfig(source=name, target=named.get(name, name)) for name in row]


def _field(config: FieldConfig, row: Mapping[str, Value], failed: frozenset[str]) -> Field:
    if config.is_constant:
        now: Value | None = Value(str(config.constant), bare=isinstance(config.constant, int | float))
        origin = "a constant of the mapping"
    else:
        plain = not config.transform and not config.options
        now = row.get(config.source or "") if plain else None
        origin = config.source or ""
        if not plain:
            origin += ", transformed"
    editable = _editable(now)
    return Field(config.target, origin, now, editable, bool(failed & {config.target, config.source}))


def _editable(now: Value | None) -> str:
    """Return what the form begins with: nothing where it could not give the value back as it is."""
    if now is None or now.kind != "text" or len(now.text) > LONGEST:
        return ""
    plain = now.text.replace("\n", "")
    return now.text if inert(plain) == plain else ""


def _failed_fields(entry: Entry) -> frozenset[str]:
    named = (entry.parameters.get("field"), entry.parameters.get("fields"))
    return frozenset(part.strip() for each in named if each for part in each.split(","))


def _is_bare(field: Field, text: str) -> bool:
    if field.now is None or not field.now.bare:
        return False
    try:
        # what Python reads as a number, and JSON does not know, is text
        value = json.loads(text, parse_constant=str)
    except ValueError:
        return False
    return isinstance(value, bool | int | float)
