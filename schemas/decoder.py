"""Whatever a source topic holds, into changes. Pure, but for the schemas that it is given to find."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from schemas.change import Decoded, Tombstone, Undecodable
from schemas.avro_messages import AvroMessages
from schemas.debezium.json_messages import JsonMessages

Format = Literal["auto", "instep", "debezium"]

_TOMBSTONE: Final = Tombstone()
_NOTHING: Final = Undecodable("undecodable", "The value is empty.")


class Decoder:
    """Decodes the records of source topics; keeps schemas and shapes, so one serves a whole process.

    `find_schema(id)` returns the text of a registry's schema, None for an unknown id; what it raises passes through,
    nothing else does: bytes that are no change are an Undecodable.
    """

    def __init__(self, find_schema: Callable[[int], str | None], *, format: Format = "auto") -> None:  # noqa: A002  the configuration's word
        self._format = format
        self._json = JsonMessages()
        self._avro = AvroMessages(find_schema)

    def __call__(
        self, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]
    ) -> Decoded:
        """Return the change that a record tells, or what it is instead."""
        if value is None:
            return _TOMBSTONE
        if not value:
            return _NOTHING
        if value[0] == 0 and len(value) >= 5:
            return self._avro.decode(int.from_bytes(value[1:5], "big"), value[5:])
        return self._json.decode(value)

    def key_fields(self, key: bytes | None) -> Mapping[str, object] | None:
        """Return a message key as exact values by field, a bare key under the name ""; None where it can't be read."""
        if not key:
            return None
        if key[0] == 0 and len(key) >= 5:
            return self._avro.key_fields(int.from_bytes(key[1:5], "big"), key[5:])
        return self._json.key_fields(key)
