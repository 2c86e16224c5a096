"""Our own RecordChange, both forms of its values, into changes: see schemas/publish.py for who writes them. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from schemas.change import Decoded, Kind, Op, RecordChange, Shape, Undecodable
from schemas.typed_values import from_typed
from schemas.wire.avro_values import Wanted
from schemas.wire.readers import shape_of
from schemas.wire.shapes import Shapes, shapes_of_schema
from schemas.wire.wire_type import WireType

SELF_CONTAINED: Final = "instep.RecordChange"
TYPED: Final = "instep.TypedRecordChange"

WANTED: Final[Wanted] = {
    "op": None,
    "version": None,
    "changed_at": None,
    "origin": None,
    "before": None,
    "after": None,
}
_BASES: Final[Mapping[str, frozenset[str]]] = {
    "op": frozenset({"string"}),
    "version": frozenset({"integer"}),
    "changed_at": frozenset({"integer"}),
    "origin": frozenset({"string"}),
    "before": frozenset({"map", "struct"}),
    "after": frozenset({"map", "struct"}),
}
_OPS: Final = {op.value: op for op in Op}
_NO_ROW: Final = Undecodable("undecodable", "The change event has no row.")
_EMPTY: Final = Shape(())


def record_change_reader(schema: WireType) -> Callable[[Mapping[str, Any]], Decoded] | None:
    """Return what reads decoded values of a RecordChange schema, None for any other schema."""
    fields = dict(schema.fields)
    if not all(name in fields and fields[name].base in bases for name, bases in _BASES.items()):
        return None
    if schema.name == SELF_CONTAINED:
        return _reader(Shapes(_self_contained))
    if schema.name == TYPED:
        return _reader(shapes_of_schema(shape_of(fields["after"].fields)))
    return None


def _self_contained(names: tuple[str, ...]) -> Shape:
    """Return the shape of rows whose values carry their types: each is of the kind that it says itself."""
    return Shape(names, dict.fromkeys(names, Kind.UNKNOWN), dict.fromkeys(names, from_typed))


def _reader(shapes: Shapes) -> Callable[[Mapping[str, Any]], Decoded]:
    known = shapes.known

    def read(event: Mapping[str, Any]) -> Decoded:
        op = _OPS[event["op"]]
        before, after = event["before"], event["after"]
        if op is Op.DELETE:
            after, row = None, before
        else:
            row = after
        if row is not None:
            names = tuple(row)
            shape = known.get(names) or shapes.of(names)
        elif op is Op.DELETE:
            shape = _EMPTY
        else:
            return _NO_ROW
        changed_at = event["changed_at"]
        changed_at_ms = None if changed_at is None else changed_at // 1000
        return RecordChange(op, before, after, shape, changed_at_ms, event["origin"], event["version"])

    return read
