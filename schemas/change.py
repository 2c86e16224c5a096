"""One change of one record, as every source format decodes to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple


class Op(StrEnum):
    """What happened to the record in its app."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    SNAPSHOT = "snapshot"


class Kind(StrEnum):
    """The neutral type of a field, shared by source schemas and target descriptions."""

    TEXT = "text"
    INTEGER = "integer"
    FLOAT = "float"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    TIMESTAMP_TZ = "timestamp_tz"
    INTERVAL = "interval"
    UUID = "uuid"
    BYTES = "bytes"
    JSON = "json"
    ARRAY = "array"
    UNKNOWN = "unknown"


class Unbounded(StrEnum):
    """A date or timestamp without end, which PostgreSQL has and Python has not."""

    INFINITY = "infinity"
    NEGATIVE = "-infinity"


@dataclass(frozen=True, slots=True)
class FarDate:
    """A date outside the years 1 to 9999: `days` since 1970-01-01."""

    days: int


@dataclass(frozen=True, slots=True)
class FarTimestamp:
    """A timestamp outside the years 1 to 9999: `micros` since 1970-01-01T00:00; `zoned` when it is an instant in UTC."""

    micros: int
    zoned: bool


Reader = Callable[[Any], Any]
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """The fields that a decoded row has, one object for all rows of a schema.

    `readers[name]` turns the wire value of a field (never None) into the exact Python value and raises ValueError
    when it is none; a field without a reader is exact already. `kinds` is empty where the source sends no schema. `lacks`
    are fields that the record has and the source left out of its rows.
    """

    names: tuple[str, ...]
    kinds: Mapping[str, Kind] = field(default_factory=lambda: _NOTHING)
    readers: Mapping[str, Reader] = field(default_factory=lambda: _NOTHING)
    lacks: frozenset[str] = frozenset()


class RecordChange(NamedTuple):
    """One decoded change; wire values in `before` and `after`, read through `shape.readers`.

    A named tuple, as one is made for each record of a topic: a frozen dataclass takes four times as long to make.
    """

    op: Op
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    shape: Shape
    changed_at_ms: int | None = None
    origin: str | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A message with a key and no value."""


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message that is no change of a record, such as a heartbeat; `reason` says which."""

    reason: str


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Bytes that are no change; `code` is a poison code of the catalogue, `message` names no value."""

    code: str
    message: str


Decoded = RecordChange | Tombstone | Ignored | Undecodable
