"""Corrected values of a replay: a mapping that writes them in place of what it would translate, for this one change. Pure."""

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, NoReturn

from schemas.change import Kind
from worker.coerce import coercion
from worker.connectors.protocol import Column
from worker.fault import Fault
from worker.plan import CONVERSION_ERRORS, FieldPlan, MappingPlan


def corrected(mapping: MappingPlan, corrections: Mapping[str, str]) -> MappingPlan | Fault:
    """Return the mapping with values (JSON texts by target field) as constants, or why one of them cannot be written."""
    constants = []
    for name, text in corrections.items():
        column = mapping.description.columns.get(name)
        reason = _refusal(mapping, column)
        if reason is not None or column is None:
            return _fault(name, reason)
        try:
            constants.append(FieldPlan(name, None, _value(column, text)))
        except CONVERSION_ERRORS as error:
            return _fault(name, str(error))
    kept = [each for each in _fields(mapping) if each.target not in corrections]
    return replace(mapping, fields=(*kept, *constants), row_plans={})


def delete_fault(corrections: Mapping[str, str]) -> Fault:
    """Return why a deletion cannot be corrected."""
    return _fault(", ".join(sorted(corrections)), "the change deletes the record")


def _refusal(mapping: MappingPlan, column: Column | None) -> str | None:
    if column is None:
        return "the target has no such field"
    if column.generated:
        return "the target makes the values of this field itself"
    if column.name in mapping.target_key:
        return "the field tells which record is meant, and another one is not written"
    return None


def _fault(name: str, reason: str | None) -> Fault:
    return Fault("correction_invalid", {"field": name, "reason": reason or ""})


def _fields(mapping: MappingPlan) -> tuple[FieldPlan, ...]:
    if mapping.fields is not None:
        return mapping.fields
    columns = mapping.description.columns.values()
    return tuple(FieldPlan(column.name, column.name) for column in columns if not column.generated)


def _value(column: Column, text: str) -> Any:
    try:
        value = json.loads(text, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise ValueError("the value is no JSON") from None
    convert = coercion(Kind.UNKNOWN, column.kind)
    return value if convert is None or value is None else convert(value)


def _no_number(_name: str) -> NoReturn:
    raise ValueError
