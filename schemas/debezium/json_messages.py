"""Debezium's JSON: with a schema beside each payload, and without.

With schemas, all records of a table start with the same bytes, up to their payload. Those are kept with what reads the
payload behind them, so that of the next record only the payload is parsed.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

import orjson

from schemas.change import Decoded, Undecodable
from schemas.debezium.keys import key_reader, read_schemaless_key
from schemas.debezium.payload import is_envelope_payload, payload_reader, schemaless_reader
from schemas.wire.connect_schema import wire_type
from schemas.wire.exact_json import has_float, parse_exactly, reparse_exactly
from schemas.wire.wire_type import WireType

_START: Final = b'{"schema":'
_SPLIT: Final = b',"payload":'
_MOST_SCHEMAS: Final = 1000

_NO_JSON: Final = Undecodable("undecodable", "The value is no JSON, or JSON nested too deep.")
_NO_SCHEMA: Final = Undecodable("undecodable", "The schema beside the payload is none of Kafka Connect's.")

_FAULTS: Final = (ValueError, TypeError, LookupError, AttributeError, RecursionError)

Read = TypeVar("Read")


class JsonMessages:
    """Reads JSON values and keys; keeps what it learned of each schema."""

    def __init__(self) -> None:
        self._values = _Schemas(payload_reader)
        self._keys = _Schemas(key_reader)
        self._read_schemaless = schemaless_reader()

    def decode(self, value: bytes) -> Decoded:
        """Return the change that a JSON value tells."""
        read = self._values.reader_of_message(value)
        if read is None:
            return self._decode_whole(value)
        body = value[self._values.prefix_bytes : -1]
        try:
            payload = orjson.loads(body)
        except ValueError:
            return self._decode_whole(value)  # what follows the prefix may be more than a payload
        return read(payload, body)

    def key_fields(self, key: bytes) -> Mapping[str, object] | None:
        """Return the fields of a JSON key, None where it is none."""
        try:
            read = self._keys.reader_of_message(key)
            if read is not None:
                return read(orjson.loads(key[self._keys.prefix_bytes : -1]))
            schema, payload = _parts(parse_exactly(key))
            if schema is None:
                return read_schemaless_key(payload)
            return self._keys.reader_of_schema(schema)(payload)
        except _FAULTS:
            return None

    def _decode_whole(self, value: bytes) -> Decoded:
        try:
            schema, payload = _parts(orjson.loads(value))
            if schema is None:
                if _rounds(payload):
                    payload = _parts(reparse_exactly(value))[1]
                return self._read_schemaless(payload, value)
        except (ValueError, RecursionError):
            return _NO_JSON
        try:
            read = self._values.reader_of_schema(schema)
        except _FAULTS:
            return _NO_SCHEMA
        return read(payload, value)


class _Schemas(Generic[Read]):
    """What reads the payloads of each schema, by the bytes before the payload and by the schema itself.

    `prefix_bytes` is how many bytes stand before the payload of the message that was asked for last.
    """

    def __init__(self, make: Callable[[WireType], Read]) -> None:
        self._make = make
        self._by_schema: dict[bytes, Read] = {}
        self._by_prefix: dict[bytes, Read] = {}
        self._prefix = b"\0"  # that of the last message; no JSON starts with this
        self._read: Read | None = None
        self.prefix_bytes = 0

    def reader_of_message(self, message: bytes) -> Read | None:
        """Return what reads the payload, where the message is a schema and a payload and nothing else can be."""
        if message.startswith(self._prefix) and message.endswith(b"}"):
            return self._read
        if not message.startswith(_START) or not message.endswith(b"}"):
            return None
        at = message.find(_SPLIT)
        if at < 0:
            return None
        prefix = message[: at + len(_SPLIT)]
        read = self._by_prefix.get(prefix) or self._learn(prefix)
        if read is not None:
            self._prefix, self._read, self.prefix_bytes = prefix, read, len(prefix)
        return read

    def reader_of_schema(self, schema: Any) -> Read:
        """Return what reads the payloads of a parsed schema; raises one of _FAULTS where it is no schema of Kafka Connect."""
        text = orjson.dumps(schema)
        read = self._by_schema.get(text)
        if read is None:
            if len(self._by_schema) >= _MOST_SCHEMAS:
                self._by_schema.clear()
            read = self._by_schema[text] = self._make(wire_type(schema))
        return read

    def _learn(self, prefix: bytes) -> Read | None:
        """Keep a prefix if the schema in it is whole: only then is the payload where it seems to be."""
        try:
            schema = orjson.loads(prefix[len(_START) : -len(_SPLIT)])
            if schema is None:
                return None
            read = self.reader_of_schema(schema)
        except _FAULTS:
            return None
        if len(self._by_prefix) >= _MOST_SCHEMAS:
            self._by_prefix.clear()
        self._by_prefix[prefix] = read
        return read


def _rounds(payload: Any) -> bool:
    """Tell whether a payload without schema has rows with numbers that may be rounded."""
    if is_envelope_payload(payload):
        return has_float(payload.get("after")) or has_float(payload.get("before"))
    return has_float(payload)


def _parts(document: Any) -> tuple[Any, Any]:
    """Return a document's schema, None where it has none, and its payload."""
    if type(document) is dict and document.keys() == {"schema", "payload"}:
        return document["schema"], document["payload"]
    return None, document
