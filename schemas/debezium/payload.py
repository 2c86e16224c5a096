"""From a payload to the change that it tells: Debezium's envelope, and rows flattened by ExtractNewRecordState.

Source: https://debezium.io/documentation/reference/stable/connectors/postgresql.html#postgresql-events
and https://debezium.io/documentation/reference/stable/transformations/event-flattening.html
"""

from collections.abc import Callable, Container, Mapping
from types import NoneType
from typing import Any, Final

from schemas.change import Decoded, Ignored, Op, RecordChange, Shape, Undecodable
from schemas.debezium.unavailable import MayLack, placeholder_finder, placeholders, without_placeholders
from schemas.wire.readers import shape_of
from schemas.wire.shapes import Shapes, shapes_of_schema, without_schema
from schemas.wire.wire_type import WireType

# Reads a payload, with the bytes that it was in.
ReadPayload = Callable[[Any, bytes], Decoded]

NO_CHANGE: Final = Undecodable("undecodable", "The value is no change event that Instep knows.")
_NO_ROW: Final = Undecodable("undecodable", "The change event has no row.")
_UNKNOWN_OPERATION: Final = Undecodable(
    "unknown_operation", "The change event's operation is none of c, u, d, r, t, m."
)
_EMPTY: Final = Shape(())
_NOTHING: Final = frozenset[str]()

_OPS: Final[Mapping[Any, Op]] = {"c": Op.CREATE, "u": Op.UPDATE, "d": Op.DELETE, "r": Op.SNAPSHOT}
_NO_RECORD: Final = {"t": Ignored("truncate"), "m": Ignored("message")}
_IGNORED_NAMES: Final = {
    "Heartbeat": Ignored("heartbeat"),
    "SchemaChangeKey": Ignored("schema_change"),
    "SchemaChangeValue": Ignored("schema_change"),
    "TransactionMetadataKey": Ignored("transaction"),
    "TransactionMetadataValue": Ignored("transaction"),
    "Notification": Ignored("notification"),
    "NotificationKey": Ignored("notification"),
    "NotificationValue": Ignored("notification"),
}
_CLOCKS: Final = {"ts_ms", "ts_us", "ts_ns"}
_PARTS: Final = ("source", "before", "after")
_DICT_OR_NULL: Final = frozenset({dict, NoneType})


def payload_reader(schema: WireType) -> ReadPayload:
    """Return what reads the payloads of one schema."""
    members = dict(schema.fields)
    last_name = schema.name.rpartition(".")[2]
    ignored = _IGNORED_NAMES.get(last_name)
    if ignored is not None:
        return lambda _payload, _data: ignored
    if is_envelope(schema):
        after = members.get("after") or members.get("before")
        fields = after.fields if after else ()
        return _envelope_reader(shapes_of_schema(shape_of(fields)), placeholder_finder(fields))
    if _is_flat(members) or last_name == "Value":
        own = tuple(each for each in schema.fields if not each[0].startswith("__"))
        return _flat_reader(shapes_of_schema(shape_of(own)), placeholder_finder(own))
    return lambda _payload, _data: NO_CHANGE


def is_envelope(schema: WireType) -> bool:
    """Tell whether a schema is that of a change event with `before` and `after`, not of a row with such columns."""
    members = dict(schema.fields)
    if "op" not in members or _is_flat(members):
        return False
    parts = [members[name] for name in _PARTS if name in members]
    return bool(parts) and all(part.base == "struct" for part in parts)


def is_envelope_payload(payload: Any) -> bool:
    """Tell the same of a payload without schema."""
    if type(payload) is not dict or "op" not in payload or _is_flat(payload):
        return False
    types = {type(payload.get("source")), type(payload.get("before")), type(payload.get("after"))}
    return dict in types and types <= _DICT_OR_NULL


def _is_flat(names: Container[str]) -> bool:
    return "__op" in names or "__deleted" in names


def schemaless_reader() -> ReadPayload:
    """Return what reads payloads of which nothing is known beforehand."""
    shapes = Shapes(without_schema)
    may_lack = placeholder_finder(None)
    read_envelope, read_flat = _envelope_reader(shapes, may_lack), _flat_reader(shapes, may_lack)

    def read(payload: Any, data: bytes) -> Decoded:
        if type(payload) is not dict:
            return NO_CHANGE
        if is_envelope_payload(payload):
            return read_envelope(payload, data)
        if _is_flat(payload):
            return read_flat(payload, data)
        return _ignored(payload.keys()) or NO_CHANGE

    return read


def _ignored(names: Any) -> Ignored | None:
    """Return what a payload without schema is by its members, where it is no change of a record."""
    if names and names <= _CLOCKS:
        return _IGNORED_NAMES["Heartbeat"]
    if {"status", "id", "event_count"} <= names:
        return _IGNORED_NAMES["TransactionMetadataValue"]
    if "source" in names and ("ddl" in names or "tableChanges" in names):
        return _IGNORED_NAMES["SchemaChangeValue"]
    if {"aggregate_type", "additional_data"} <= names:
        return _IGNORED_NAMES["Notification"]
    return None


def _envelope_reader(shapes: Shapes, may_lack: MayLack) -> ReadPayload:
    known = shapes.known

    def read(payload: Any, data: bytes) -> Decoded:
        if type(payload) is not dict:
            return NO_CHANGE
        code = payload.get("op")
        op = _OPS.get(code) if type(code) is str else None
        if op is None:
            return _NO_RECORD.get(str(code), _UNKNOWN_OPERATION)
        before, after, lacks = payload.get("before"), payload.get("after"), _NOTHING
        if op is Op.UPDATE and may_lack(after, data):
            lacks = placeholders(after)
            before, after = without_placeholders(before), without_placeholders(after)
        elif op is Op.DELETE:
            after = None
        row = before if op is Op.DELETE else after
        if type(row) is dict and (before is None or type(before) is dict):
            names = tuple(row)
            shape = shapes.lacking(names, lacks) if lacks else known.get(names) or shapes.of(names)
        elif row is None and op is Op.DELETE:
            shape = _EMPTY
        else:
            return _NO_ROW
        changed_at, origin = _source(payload)
        return RecordChange(op, before, after, shape, changed_at, origin)

    return read


def _source(payload: Mapping[str, Any]) -> tuple[int | None, str | None]:
    """Return when the change was made in its app, else when it was read there, and by whom."""
    source = payload.get("source")
    if type(source) is not dict:
        return _integer(payload.get("ts_ms")), None
    changed_at, origin = source.get("ts_ms"), source.get("origin")
    return (
        changed_at if type(changed_at) is int else _integer(payload.get("ts_ms")),
        origin if type(origin) is str else None,
    )


def _flat_reader(shapes: Shapes, may_lack: MayLack) -> ReadPayload:
    def read(payload: Any, data: bytes) -> Decoded:
        if type(payload) is not dict:
            return NO_CHANGE
        code = payload.get("__op", "u")
        op = _OPS.get(code) if type(code) is str else None
        if op is None:
            return _NO_RECORD.get(str(code), _UNKNOWN_OPERATION)
        if payload.get("__deleted") in (True, "true"):
            op = Op.DELETE
        row, lacks = payload, _NOTHING
        if op is Op.UPDATE and may_lack(row, data):
            row, lacks = without_placeholders(row), placeholders(row)
        names = tuple(row)
        shape = shapes.lacking(names, lacks) if lacks else shapes.of(names)
        changed_at = _integer(payload.get("__source_ts_ms"))
        if changed_at is None:
            changed_at = _integer(payload.get("__ts_ms"))
        origin = payload.get("__source_origin")
        before, after = (row, None) if op is Op.DELETE else (None, row)
        return RecordChange(op, before, after, shape, changed_at, origin if type(origin) is str else None)

    return read


def _integer(value: Any) -> int | None:
    return value if type(value) is int else None
