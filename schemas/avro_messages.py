"""Avro messages, whichever way they name their schema: schemas are looked up once and kept."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from fastavro import parse_schema
from fastavro.schema import SchemaParseException

from schemas.avro_schemas import schema_text, versions
from schemas.change import Decoded, Undecodable
from schemas.debezium.keys import key_reader
from schemas.debezium.payload import is_envelope, payload_reader
from schemas.framing import SINGLE_OBJECT_BYTES, single_object_prefix
from schemas.record_change import SELF_CONTAINED, WANTED, record_change_reader
from schemas.wire.avro_schema import wire_type, without_logical_types
from schemas.wire.avro_values import FAULTS, Wanted, value_reader
from schemas.wire.wire_type import WireType

SchemaId = int | UUID
FindSchema = Callable[[Any], str | None]

# Of an envelope's source and clocks only these are read.
_OF_ENVELOPE: Final[Mapping[str, Wanted]] = {
    "before": None,
    "after": None,
    "source": {"ts_ms": None, "origin": None},
    "op": None,
    "ts_ms": None,
}
_SCHEMA_FAULTS: Final = (
    SchemaParseException,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    RecursionError,
)
_NO_AVRO: Final = Undecodable("undecodable", "The value does not follow its Avro schema.")
_NO_SCHEMA: Final = Undecodable(
    "undecodable", "The schema that the registry has for the value is no Avro schema."
)
_OTHER_FORMAT: Final = Undecodable("undecodable", "The value is of another format than the mapping names.")
_UNKNOWN_OBJECT: Final = Undecodable(
    "unknown_schema", "The value is a single object of a schema that this version of Instep does not know."
)


@dataclass(frozen=True, slots=True)
class AvroReading:
    """What reads the bytes of values, and of keys, of one schema; `ours` for a RecordChange. They raise one of FAULTS."""

    read: Callable[[bytes], Decoded]
    read_key: Callable[[bytes], Mapping[str, object] | None]
    ours: bool


class AvroMessages:
    """Reads Avro values and keys; keeps the schemas. An unknown id is asked for again each time: it may be new."""

    def __init__(self, find_schema: FindSchema, *, ours: bool, debezium: bool) -> None:
        self._find_schema = find_schema
        self._allowed = {kind for kind, allowed in ((True, ours), (False, debezium)) if allowed}
        self._readings: dict[SchemaId, AvroReading | Undecodable] = {}
        self._objects: dict[bytes, AvroReading | Undecodable] | None = None

    def decode(self, schema_id: SchemaId, body: bytes) -> Decoded:
        """Return the change that a value tells; what find_schema raises passes through."""
        return self._read(self._readings.get(schema_id) or self._find(schema_id), body)

    def decode_object(self, value: bytes) -> Decoded:
        """Return the change that a single object tells: the self-contained form, of any version of the contract."""
        return self._read(self._object_reading(value[:SINGLE_OBJECT_BYTES]), value[SINGLE_OBJECT_BYTES:])

    def key_fields(self, schema_id: SchemaId, body: bytes) -> Mapping[str, object] | None:
        """Return the fields of a key, None where it is none; what find_schema raises passes through."""
        reading = self._readings.get(schema_id) or self._find(schema_id)
        if isinstance(reading, Undecodable):
            return None
        try:
            return reading.read_key(body)
        except FAULTS:
            return None

    def _read(self, reading: AvroReading | Undecodable, body: bytes) -> Decoded:
        if type(reading) is not AvroReading:
            return reading  # type: ignore[return-value]  # the other member of the union
        try:
            return reading.read(body)
        except FAULTS:
            return _NO_AVRO

    def _find(self, schema_id: SchemaId) -> AvroReading | Undecodable:
        text = self._find_schema(schema_id)
        if text is None:
            return Undecodable("unknown_schema", f"The schema registry has no Avro schema {schema_id}.")
        reading = self._readings[schema_id] = self._allow(_reading(text))
        return reading

    def _object_reading(self, prefix: bytes) -> AvroReading | Undecodable:
        if self._objects is None:
            texts = {schema_text("RecordChange", version) for version in versions()} | {
                schema_text("RecordChange")
            }
            self._objects = {_object_prefix(text): self._allow(_reading(text)) for text in texts}
        return self._objects.get(prefix, _UNKNOWN_OBJECT)

    def _allow(self, reading: AvroReading | Undecodable) -> AvroReading | Undecodable:
        return reading if isinstance(reading, Undecodable) or reading.ours in self._allowed else _OTHER_FORMAT


def _object_prefix(text: str) -> bytes:
    return single_object_prefix(without_logical_types(json.loads(text)))


def _reading(text: str) -> AvroReading | Undecodable:
    try:
        schema = json.loads(text)
        parsed = parse_schema(without_logical_types(schema), named_schemas={})
        return _compile(parsed, wire_type(schema))
    except _SCHEMA_FAULTS:
        return _NO_SCHEMA


def _wanted_of_envelope(parsed: Any) -> Wanted:
    """Return what is read of an envelope: its own clock only where the source's may be missing."""
    fields = {each["name"]: each["type"] for each in parsed["fields"]}
    source = fields.get("source")
    members = source["fields"] if isinstance(source, dict) and "fields" in source else ()
    if any(each["name"] == "ts_ms" and each["type"] == "long" for each in members):
        return {name: wanted for name, wanted in _OF_ENVELOPE.items() if name != "ts_ms"}
    return _OF_ENVELOPE


def _compile(parsed: Any, wire: WireType) -> AvroReading:
    decode_key, read_key = value_reader(parsed), key_reader(wire)
    read_change = record_change_reader(wire)
    if read_change is not None:
        decode_change = value_reader(parsed, WANTED, named=wire.name == SELF_CONTAINED)
        return AvroReading(
            read=lambda body: read_change(decode_change(body)),
            read_key=lambda body: read_key(decode_key(body)),
            ours=True,
        )
    decode = value_reader(parsed, _wanted_of_envelope(parsed) if is_envelope(wire) else None)
    read_payload = payload_reader(wire)
    return AvroReading(
        read=lambda body: read_payload(decode(body), body),
        read_key=lambda body: read_key(decode_key(body)),
        ours=False,
    )
