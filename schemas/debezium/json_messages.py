"""Debezium's JSON: with a schema beside each payload, and without.

With schemas, all records of a table start with the same bytes, up to their payload. Those are kept with what reads the
payload behind them, so that of the next record only the payload is parsed.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

import orjson

from schemas.change import Decoded, Undecodable
from schemas.debezium.keys import key_reader, read_schemaless_key
from schemas.debezium.payload import payload_reader, schemaless_reader
from schemas.wire.connect_schema import wire_type
from schemas.wire.exact_json import parse_exactly
from schemas.wire.wire_type import WireType

_START: Final = b'{"schema":'
_SPLIT: Final = b',"payload":'
_MOST_SCHEMAS: Final = 1000

_NO_JSON: Final = Undecodable("undecodable", "The value is no JSON, or JSON nested too deep.")
_NO_SCHEMA: Final = Undecodable("undecodable", "The schema beside the payload is none of Kafka Connect's.")

Read = TypeVar("Read")


class JsonMessages:
    """Reads JSON values and keys; keeps what it learned of each schema."""

    def __init__(self) -> None:
        self._values = _Schemas(payload_reader)
        self._keys = _Schemas(key_reader)
        self._read_schemaless = schemaless_reader()

    def decode(self, value: bytes) -> Decoded:
        """Return the change that a JSON value tells."""
        found = self._values.split(value)
        if found is not None:
            read, body = found
            try:
                return read(orjson.loads(body), body)
            except ValueError:
                pass  # the whole is parsed below: what follows the prefix may be more than a payload
        return self._decode_whole(value)

    def key_fields(self, key: bytes) -> Mapping[str, object] | None:
        """Return the fields of a JSON key, None where it is none."""
        try:
            found = self._keys.split(key)
            if found is not None:
                return found[0](orjson.loads(found[1]))
            schema, payload = _parts(parse_exactly(key))
            if schema is None:
                return read_schemaless_key(payload)
            return self._keys.reader(schema)(payload)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return None

    def _decode_whole(self, value: bytes) -> Decoded:
        try:
            schema, payload = _parts(parse_exactly(value))
        except (ValueError, RecursionError):
            return _NO_JSON
        if schema is None:
            return self._read_schemaless(payload, value)
        try:
            read = self._values.reader(schema)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return _NO_SCHEMA
        return read(payload, value)


class _Schemas(Generic[Read]):
    """What reads the payloads of each schema, by the bytes before the payload and by the schema itself."""

    def __init__(self, make: Callable[[WireType], Read]) -> None:
        self._make = make
        self._by_schema: dict[bytes, Read] = {}
        self._by_prefix: dict[bytes, Read] = {}
        self._prefix = b"\0"  # that of the last message; none starts with this
        self._read: Read | None = None

    def split(self, message: bytes) -> tuple[Read, bytes] | None:
        """Return what reads the payload, and the bytes of the payload, where the message is in two such parts."""
        if message.startswith(self._prefix) and self._read is not None:
            return self._read, message[len(self._prefix) : -1]
        if not message.startswith(_START) or not message.endswith(b"}"):
            return None
        at = message.find(_SPLIT)
        if at < 0:
            return None
        prefix = message[: at + len(_SPLIT)]
        read = self._by_prefix.get(prefix)
        if read is None:
            read = self._learn(prefix)
            if read is None:
                return None
        self._prefix, self._read = prefix, read
        return read, message[len(prefix) : -1]

    def reader(self, schema: Any) -> Read:
        """Return what reads the payloads of a parsed schema; raises where it is no schema of Kafka Connect."""
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
            read = self.reader(schema)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return None
        if len(self._by_prefix) >= _MOST_SCHEMAS:
            self._by_prefix.clear()
        self._by_prefix[prefix] = read
        return read


def _parts(document: Any) -> tuple[Any, Any]:
    """Return a document's schema, None where it has none, and its payload."""
    if type(document) is dict and document.keys() == {"schema", "payload"}:
        return document["schema"], document["payload"]
    return None, document
