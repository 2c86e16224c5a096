"""For apps that publish their own changes: a RecordChange as bytes, in both forms of its values. Pure.

`encode_change` writes the self-contained form, which needs no registry: every value carries its type. `TypedEncoder` writes
the typed form, with a record type of the entity's own that stands in a schema registry: it is read two to three times as fast.
The Kafka message's key is `message_key`, so that all changes of a record stay in order.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from io import BytesIO
from typing import Any
from uuid import UUID

from fastavro import schemaless_writer

from schemas import typed_values
from schemas.avro_schemas import parse_plain, schema_text
from schemas.change import Kind, Op
from schemas.framing import confluent_prefix, single_object_prefix

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one record as its app tells it; `before` and `after` hold exact Python values by field.

    `event_id` is unique to the change, `record_id` is what people call the record, `version` grows with each change of
    it, `changed_at` is aware, `origin` says who wrote it.
    """

    event_id: str
    app: str
    entity: str
    record_id: str
    op: Op
    before: Row | None = None
    after: Row | None = None
    version: int | None = None
    changed_at: datetime | None = None
    origin: str | None = None
    changed_fields: Sequence[str] | None = None
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class FieldType:
    """The type of a field in the typed form; a decimal has `precision` and `scale`, or neither and is then of any size."""

    kind: Kind
    nullable: bool = True
    precision: int | None = None
    scale: int = 0


def message_key(key: Mapping[str, str | int]) -> bytes:
    """Return the Kafka message key of a record: its key fields as JSON, in the order given."""
    return json.dumps(key, ensure_ascii=False, separators=(",", ":")).encode()


def encode_change(change: Change) -> bytes:
    """Return a change in the self-contained form, as a single object; ValueError where a value has no exact form."""
    prefix, schema = _self_contained()
    fields = _fields(change)
    for side in ("before", "after"):
        row = fields[side]
        if row is not None:
            # as the named branch of its union, which fastavro then need not find by trying all
            fields[side] = ("map", {name: typed_values.to_typed(value) for name, value in row.items()})
    return _written(prefix, schema, fields)


def typed_schema(fields: Mapping[str, FieldType]) -> str:
    """Return the schema of an entity's changes in the typed form, to be registered.

    Raises ValueError for a field whose name Avro does not allow, or whose type the typed form has not.
    """
    wrong = [name for name in fields if not _NAME.fullmatch(name)]
    if wrong:
        raise ValueError(f'Avro allows no field "{wrong[0]}": use the self-contained form')
    schema = json.loads(schema_text("TypedRecordChange"))
    defined: set[str] = set()
    row = next(field for field in schema["fields"] if field["name"] == "before")["type"][1]
    row["fields"] = [
        {"name": name, "type": ["null", avro] if each.nullable else avro, **_default(each)}
        for name, each in fields.items()
        for avro in (_avro_type(each, defined),)
    ]
    return json.dumps(schema)


class TypedEncoder:
    """Encodes the changes of one entity in the typed form, under the id that the registry gave `typed_schema(fields)`."""

    def __init__(self, fields: Mapping[str, FieldType], schema_id: int) -> None:
        self._schema = parse_plain(typed_schema(fields))
        self._prefix = confluent_prefix(schema_id)
        self._writers = {name: _WIRE[each.kind](each) for name, each in fields.items()}

    def __call__(self, change: Change) -> bytes:
        """Return a change in Confluent's wire format; ValueError where a value does not fit its field's type."""
        fields = _fields(change)
        for side in ("before", "after"):
            row = fields[side]
            if row is not None:
                fields[side] = ("instep.Row", self._row(row))
        return _written(self._prefix, self._schema, fields)

    def _row(self, row: Row) -> dict[str, Any]:
        unknown = row.keys() - self._writers.keys()
        if unknown:
            raise ValueError(f'the schema has no field "{min(unknown)}"')
        try:
            return {
                name: None if (value := row.get(name)) is None else write(value)
                for name, write in self._writers.items()
            }
        except (TypeError, AttributeError):
            raise ValueError("a value does not fit the type of its field") from None


@cache
def _self_contained() -> tuple[bytes, Any]:
    schema = parse_plain(schema_text("RecordChange"))
    return single_object_prefix(schema), schema


def _written(prefix: bytes, schema: Any, fields: Mapping[str, Any]) -> bytes:
    stream = BytesIO()
    stream.write(prefix)
    try:
        schemaless_writer(stream, schema, fields)
    except (TypeError, OverflowError):
        raise ValueError("a value does not fit the type of its field") from None
    return stream.getvalue()


def _fields(change: Change) -> dict[str, Any]:
    changed_at = change.changed_at
    return {
        "event_id": change.event_id,
        "app": change.app,
        "entity": change.entity,
        "record_id": change.record_id,
        "op": change.op.value,
        "version": change.version,
        "changed_at": None if changed_at is None else typed_values.timestamp_micros(changed_at, zoned=True),
        "origin": change.origin,
        "changed_fields": None if change.changed_fields is None else list(change.changed_fields),
        "tenant": change.tenant,
        "before": change.before,
        "after": change.after,
    }


def _default(field: FieldType) -> dict[str, None]:
    return {"default": None} if field.nullable else {}


def _avro_type(field: FieldType, defined: set[str]) -> Any:
    match field:
        case FieldType(kind=Kind.DECIMAL, precision=int(precision), scale=scale):
            return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}
        case FieldType(kind=kind) if kind in _PLAIN:
            return _PLAIN[kind]
        case FieldType(kind=kind) if kind in _RECORDS:
            return _record(_RECORDS[kind], defined)
    raise ValueError(f"the typed form has no {field.kind}: use the self-contained form")


def _record(name: str, defined: set[str]) -> Any:
    """Return a record that stands for a value: where it occurs first its definition, then its name."""
    if name in defined:
        return f"instep.{name}"
    defined.add(name)
    branches = next(f for f in json.loads(schema_text("RecordChange"))["fields"] if f["name"] == "before")
    values = branches["type"][1]["values"]
    return next(each for each in values if isinstance(each, dict) and each["name"] == name)


_PLAIN: Mapping[Kind, Any] = {
    Kind.TEXT: "string",
    Kind.INTEGER: "long",
    Kind.FLOAT: "double",
    Kind.BOOLEAN: "boolean",
    Kind.BYTES: "bytes",
    Kind.DATE: {"type": "int", "logicalType": "date"},
    Kind.TIME: {"type": "long", "logicalType": "time-micros"},
    Kind.TIMESTAMP: {"type": "long", "logicalType": "local-timestamp-micros"},
    Kind.TIMESTAMP_TZ: {"type": "long", "logicalType": "timestamp-micros"},
    Kind.UUID: {"type": "string", "logicalType": "uuid"},
}
_RECORDS: Mapping[Kind, str] = {Kind.DECIMAL: "Decimal", Kind.INTERVAL: "Interval", Kind.JSON: "Json"}

Write = Callable[[Any], Any]


def _always(write: Write) -> Callable[[FieldType], Write]:
    return lambda _: write


def _only(python: type, write: Write = lambda value: value) -> Callable[[FieldType], Write]:
    def checked(value: Any) -> Any:
        if type(value) is not python:
            raise TypeError
        return write(value)

    return _always(checked)


def _decimal(field: FieldType) -> Write:
    if field.precision is None:
        return lambda value: typed_values.to_typed(value)[1]
    scale, bound = field.scale, 10**field.precision

    def write(value: Any) -> bytes:
        unscaled = typed_values.unscaled_bytes(value, scale)
        if abs(int.from_bytes(unscaled, "big", signed=True)) >= bound:
            raise ValueError("a decimal with more digits than the precision has")
        return unscaled

    return write


_WIRE: Mapping[Kind, Callable[[FieldType], Write]] = {
    Kind.TEXT: _only(str),
    Kind.INTEGER: _only(int),
    Kind.FLOAT: _only(float),
    Kind.BOOLEAN: _only(bool),
    Kind.BYTES: _only(bytes),
    Kind.DECIMAL: _decimal,
    Kind.DATE: _always(typed_values.date_days),
    Kind.TIME: _always(typed_values.time_micros),
    Kind.TIMESTAMP: _always(lambda value: typed_values.timestamp_micros(value, zoned=False)),
    Kind.TIMESTAMP_TZ: _always(lambda value: typed_values.timestamp_micros(value, zoned=True)),
    Kind.INTERVAL: _always(lambda value: {"micros": typed_values.interval_micros(value)}),
    Kind.UUID: _only(UUID, str),
    Kind.JSON: _always(lambda value: {"text": typed_values.json_text(value)}),
}
