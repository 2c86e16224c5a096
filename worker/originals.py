"""Reads again a source message that was too large to travel with its failure."""

from collections.abc import Callable
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError

from plumbing.unreachable import UnreachableError
from schemas.events import Position
from worker.message import StoredMessage

_TIMEOUT_MS = 10_000
# https://kafka.apache.org/protocol#protocol_error_codes: UNKNOWN_TOPIC_OR_PARTITION
_UNKNOWN_TOPIC = 3


class Originals:
    """Finds messages by position, with a consumer of its own that belongs to no group and is opened when first needed."""

    def __init__(self, admin: KafkaAdminClient, open_consumer: Callable[[], KafkaConsumer]) -> None:
        self._admin = admin
        self._open = open_consumer
        self._consumer: KafkaConsumer | None = None

    def find(self, position: Position) -> StoredMessage | None:
        """Return the message at a position; None when its topic does not have it any more. Raises UnreachableError."""
        if self._consumer is None:
            self._consumer = self._open()
        try:
            found = self._read(self._consumer, position)
        except KafkaError as error:
            raise UnreachableError(
                f"The topic {position.topic} cannot be read: {type(error).__name__}"
            ) from None
        # a topic that was deleted and made anew has another message at the same offset
        if found is None or (found.offset, found.timestamp) != (position.offset, position.timestamp_ms):
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

    def _read(self, consumer: KafkaConsumer, position: Position) -> Any:
        """Return the first message from a position on, None where there is none."""
        place = TopicPartition(position.topic, position.partition)
        if not self._has(place):
            return None
        consumer.assign([place])
        beginning = consumer.beginning_offsets([place])[place]
        end = consumer.end_offsets([place])[place]
        if not beginning <= position.offset < end:
            return None
        consumer.seek(place, position.offset)
        polled = consumer.poll(_TIMEOUT_MS, max_records=1)
        found = next((each for messages in polled.values() for each in messages), None)
        if found is None and (consumer.position(place, timeout_ms=_TIMEOUT_MS) or 0) <= position.offset:
            raise KafkaTimeoutError(f"nothing read within {_TIMEOUT_MS} ms")
        return found

    def _has(self, place: TopicPartition) -> bool:
        # a consumer that is asked for a partition which does not exist waits until it gives up
        (topic,) = self._admin.describe_topics([place.topic])
        indexes = {each["partition_index"] for each in topic["partitions"]}
        return topic["error_code"] != _UNKNOWN_TOPIC and place.partition in indexes

    def close(self) -> None:
        """Close the consumer, if one was needed."""
        if self._consumer is not None:
            self._consumer.close(autocommit=False)
