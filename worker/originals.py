"""Reads again a source message that was too large to travel with its failure."""

from collections.abc import Callable

from kafka import KafkaConsumer, TopicPartition

from schemas.events import Position
from worker.message import StoredMessage

_TIMEOUT_MS = 10_000


class Originals:
    """Finds messages by position, with a consumer of its own that belongs to no group and is opened when first needed."""

    def __init__(self, open_consumer: Callable[[], KafkaConsumer]) -> None:
        self._open = open_consumer
        self._consumer: KafkaConsumer | None = None

    def find(self, position: Position) -> StoredMessage | None:
        """Return the message at a position; None when its topic does not have it any more."""
        if self._consumer is None:
            self._consumer = self._open()
        place = TopicPartition(position.topic, position.partition)
        self._consumer.assign([place])
        beginning = self._consumer.beginning_offsets([place])[place]
        end = self._consumer.end_offsets([place])[place]
        if not beginning <= position.offset < end:
            return None
        self._consumer.seek(place, position.offset)
        polled = self._consumer.poll(_TIMEOUT_MS, max_records=1)
        found = next((each for messages in polled.values() for each in messages), None)
        if found is None or found.offset != position.offset:
            return None
        return StoredMessage(
            found.topic,
            found.partition,
            found.offset,
            found.timestamp,
            found.key,
            found.value,
            tuple(found.headers),
        )

    def close(self) -> None:
        """Close the consumer, if one was needed."""
        if self._consumer is not None:
            self._consumer.close(autocommit=False)
