"""Debezium's Avro, with the schema's id in front or in a header, schemas looked up once and kept."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from fastavro import parse_schema

from schemas.change import Decoded, Undecodable
from schemas.wire.avro_schema import wire_type, without_logical_types
from schemas.wire.avro_values import FAULTS, Wanted, value_reader
from schemas.debezium.keys import ReadKey, key_reader
from schemas.debezium.payload import ReadPayload, is_envelope, payload_reader
from schemas.debezium.unavailable import masks_avro

SchemaId = int
FindSchema = Callable[[SchemaId], str | None]

# Of an envelope's source and clocks only these are read.
_OF_ENVELOPE: Final[Wanted] = {
    "before": None,
    "after": None,
    "source": {"ts_ms": None, "origin": None},
    "op": None,
    "ts_ms": None,
}
_NO_AVRO: Final = Undecodable("undecodable", "The value does not follow its Avro schema.")
_NO_SCHEMA: Final = Undecodable("undecodable", "The value's schema is no Avro schema.")


@dataclass(frozen=True, slots=True)
class AvroReading:
    """What decodes the bytes of one schema, and what reads the values and the keys in them."""

    decode: Callable[[bytes], Any]
    read: ReadPayload
    read_key: ReadKey


class AvroMessages:
    """Reads Avro values and keys; keeps the schemas. An unknown id is asked for again each time: it may be new."""

    def __init__(self, find_schema: FindSchema) -> None:
        self._find_schema = find_schema
        self._readings: dict[SchemaId, AvroReading | Undecodable] = {}

    def decode(self, schema_id: SchemaId, body: bytes) -> Decoded:
        """Return the change that a value tells; what find_schema raises passes through."""
        reading = self._readings.get(schema_id) or self._find(schema_id)
        if type(reading) is not AvroReading:
            return reading  # type: ignore[return-value]  # the other member of the union
        try:
            payload = reading.decode(body)
        except FAULTS:
            return _NO_AVRO
        return reading.read(payload, masks_avro(body))

    def key_fields(self, schema_id: SchemaId, body: bytes) -> Mapping[str, object] | None:
        """Return the fields of a key, None where it is none; what find_schema raises passes through."""
        reading = self._readings.get(schema_id) or self._find(schema_id)
        if isinstance(reading, Undecodable):
            return None
        try:
            return reading.read_key(reading.decode(body))
        except FAULTS:
            return None

    def _find(self, schema_id: SchemaId) -> AvroReading | Undecodable:
        text = self._find_schema(schema_id)
        if text is None:
            return Undecodable("unknown_schema", f"The schema registry has no Avro schema {schema_id}.")
        reading = self._readings[schema_id] = _reading(text)
        return reading


def _reading(text: str) -> AvroReading | Undecodable:
    try:
        schema = json.loads(text)
        parsed = parse_schema(without_logical_types(schema), named_schemas={})
        wire = wire_type(schema)
        wanted = _OF_ENVELOPE if is_envelope(wire) else None
        return AvroReading(value_reader(parsed, wanted), payload_reader(wire), key_reader(wire))
    except Exception:  # noqa: BLE001  the boundary to a parser of schemas that others wrote
        return _NO_SCHEMA
