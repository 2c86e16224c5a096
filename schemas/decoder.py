"""Whatever a source topic holds, into changes. Pure, but for the schemas that it is given to find."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

import orjson

from schemas.change import Decoded, Tombstone, Undecodable
from schemas.debezium.json_messages import JsonMessages

Format = Literal["auto", "instep", "debezium"]

_TOMBSTONE: Final = Tombstone()


class Decoder:
    """Decodes the records of source topics; keeps schemas and shapes, so one serves a whole process.

    `find_schema(id)` returns the text of a registry's schema, None for an unknown id; what it raises passes through,
    nothing else does: bytes that are no change are an Undecodable.
    """

    def __init__(self, find_schema: Callable[[int], str | None], *, format: Format = "auto") -> None:  # noqa: A002  the configuration's word
        self._find_schema = find_schema
        self._format = format
        self._json = JsonMessages()

    def __call__(
        self, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]
    ) -> Decoded:
        """Return the change that a record tells, or what it is instead."""
        if value is None:
            return _TOMBSTONE
        return self._json.decode(value)

    def key_fields(self, key: bytes | None) -> Mapping[str, object] | None:
        """Return a message key as exact values by field, a bare key under the name ""; None where it can't be read."""
        if not key:
            return None
        return self._json.key_fields(key)
