"""How a message says which Avro schema wrote it: Avro's single-object encoding, or Confluent's wire format. Pure."""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastavro.schema import fingerprint, to_parsing_canonical_form

# https://avro.apache.org/docs/1.12.0/specification/#single-object-encoding
SINGLE_OBJECT_MARK = b"\xc3\x01"
SINGLE_OBJECT_BYTES = 10

# https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
CONFLUENT_MARK = b"\x00"
CONFLUENT_BYTES = 5


@dataclass(frozen=True, slots=True)
class SingleObject:
    """Messages name their schema by its fingerprint; no registry is needed."""


@dataclass(frozen=True, slots=True)
class Confluent:
    """Messages name their schema by its id in a registry.

    `ids` holds the id under which each of our event schemas is registered, by event name ("SyncFailed");
    `find_schema` returns the text of any id, None where there is none, and may raise when the registry is away.
    """

    ids: Mapping[str, int]
    find_schema: Callable[[int], str | None]


Framing = SingleObject | Confluent
SINGLE_OBJECT = SingleObject()


def single_object_prefix(schema: Any) -> bytes:
    """Return the ten bytes before a single object: the mark and the schema's CRC-64-AVRO, little-endian."""
    # fastavro's hexadecimal digits stand in the order of the wire already
    return SINGLE_OBJECT_MARK + bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


def confluent_prefix(schema_id: int) -> bytes:
    """Return the five bytes before a message in Confluent's format: a zero and the id, big-endian."""
    return struct.pack(">BI", 0, schema_id)


def confluent_id(data: bytes) -> int:
    """Return the schema id of a message in Confluent's format, of at least five bytes."""
    return int.from_bytes(data[1:CONFLUENT_BYTES], "big")
