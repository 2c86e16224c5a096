"""A message of a Kafka topic, as the worker sees it."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from schemas.events import OriginalRecord, Position


class Message(Protocol):
    """What the client's records and parked changes have in common; `timestamp` in milliseconds."""

    @property
    def topic(self) -> str:
        """The topic."""

    @property
    def partition(self) -> int:
        """The partition."""

    @property
    def offset(self) -> int:
        """The offset."""

    @property
    def timestamp(self) -> int:
        """The broker's time, in milliseconds."""

    @property
    def key(self) -> bytes | None:
        """The key's bytes."""

    @property
    def value(self) -> bytes | None:
        """The value's bytes; None is a tombstone."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """The headers, in their order."""


class StoredMessage(NamedTuple):
    """A message that comes from a replay or from the state store, with its position in the source topic.

    A named tuple, as one is made for each replay.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


def position_of(message: Message) -> Position:
    """Return where a message stands in its source topic."""
    return Position(message.topic, message.partition, message.offset, message.timestamp)


def original_of(message: Message) -> OriginalRecord:
    """Return the bytes of a message."""
    return OriginalRecord(message.key, message.value, tuple(message.headers))


def stored(position: Position, original: OriginalRecord) -> StoredMessage:
    """Return the message that stood at a position."""
    return StoredMessage(
        position.topic,
        position.partition,
        position.offset,
        position.timestamp_ms,
        original.key,
        original.value,
        original.headers,
    )
