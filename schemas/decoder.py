"""Whatever a source topic holds, into changes. Pure, but for the schemas that it is given to find."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal
from uuid import UUID

from schemas.avro_messages import AvroMessages, SchemaId
from schemas.change import Decoded, Tombstone, Undecodable
from schemas.debezium.json_messages import JsonMessages
from schemas.framing import CONFLUENT_BYTES, SINGLE_OBJECT_MARK, confluent_id

Format = Literal["auto", "instep", "debezium"]
Headers = Sequence[tuple[str, bytes | None]]

# Confluent's serializers can name the schema in a header instead of in front of the bytes: a mark, then the id as there,
# or the schema's GUID. https://github.com/confluentinc/confluent-kafka-python, schema_registry/common/serde.py
_VALUE_SCHEMA: Final = "__value_schema_id"
_KEY_SCHEMA: Final = "__key_schema_id"
_GUID_BYTES: Final = 17

# Larger than any broker's limit in practice; decoded it would take a multiple of that in memory.
MAX_VALUE_BYTES: Final = 64 * 1024 * 1024

_TOMBSTONE: Final = Tombstone()
_EMPTY: Final = Undecodable("undecodable", "The value is empty.")
_TRUNCATED: Final = Undecodable("undecodable", "The value ends before its schema's id does.")
_HEADER: Final = Undecodable("undecodable", f"The header {_VALUE_SCHEMA} names no schema.")
_OTHER_FORMAT: Final = Undecodable("undecodable", "The value is of another format than the mapping names.")


class Decoder:
    """Decodes the records of source topics; keeps schemas and shapes, so one serves a whole process. Not for two threads.

    `find_schema(id)` returns the text of a registry's schema, None for an unknown id (an int, or a UUID where a header
    names a schema so); what it raises passes through, nothing else does: bytes that are no change are an Undecodable.
    `format` says which changes are taken: Debezium's, our own RecordChange, or both.
    """

    def __init__(
        self,
        find_schema: Callable[[int], str | None] | Callable[[SchemaId], str | None],
        *,
        format: Format = "auto",  # noqa: A002  the configuration's word
    ) -> None:
        self._takes_json = format != "instep"
        self._json = JsonMessages()
        self._avro = AvroMessages(find_schema, ours=format != "debezium", debezium=format != "instep")

    def __call__(  # noqa: PLR0911  one return for each way a value can start
        self, key: bytes | None, value: bytes | None, headers: Headers
    ) -> Decoded:
        """Return the change that a record tells, or what it is instead."""
        del key  # what a change is about stands in its value
        if value is None:
            return _TOMBSTONE
        for name, data in headers:
            if name == _VALUE_SCHEMA:
                schema_id = _schema_id(data)
                return _HEADER if schema_id is None else self._avro.decode(schema_id, value)
        size = len(value)
        if size > MAX_VALUE_BYTES:
            return Undecodable(
                "too_large", f"The value has {size} bytes; more than {MAX_VALUE_BYTES} are not decoded."
            )
        if not size:
            return _EMPTY
        if value[0] == 0:
            if size < CONFLUENT_BYTES:
                return _TRUNCATED
            return self._avro.decode(confluent_id(value), value[CONFLUENT_BYTES:])
        if value.startswith(SINGLE_OBJECT_MARK):
            return self._avro.decode_object(value)
        return self._json.decode(value) if self._takes_json else _OTHER_FORMAT

    def key_fields(self, key: bytes | None, headers: Headers = ()) -> Mapping[str, object] | None:
        """Return a message key as exact values by field, a bare key under the name ""; None where it can't be read."""
        if not key:
            return None
        for name, data in headers:
            if name == _KEY_SCHEMA:
                schema_id = _schema_id(data)
                return None if schema_id is None else self._avro.key_fields(schema_id, key)
        if key[0] == 0:
            return (
                self._avro.key_fields(confluent_id(key), key[CONFLUENT_BYTES:])
                if len(key) >= CONFLUENT_BYTES
                else None
            )
        return self._json.key_fields(key)


def _schema_id(header: bytes | None) -> SchemaId | None:
    if header is not None and len(header) == CONFLUENT_BYTES and header[0] == 0:
        return confluent_id(header)
    if header is not None and len(header) == _GUID_BYTES and header[0] == 1:
        return UUID(bytes=header[1:])
    return None
