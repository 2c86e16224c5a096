"""What stands in a topic of replays: which of the requests that a sink wanted to send are there."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaTimeoutError

from plumbing import kafka
from plumbing.unreachable import UnreachableError
from schemas.bundles import events_in
from schemas.codec import Codec, Unreadable
from schemas.config.kafka import KafkaConfig
from schemas.events import ReplayRequest

FindSent = Callable[[str, int, frozenset[str]], frozenset[str]]

_POLL_MS = 1000
_READ_WITHIN_S = 60.0
_CLOSED_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class SentReader:
    """Reads topics of replays with a consumer of its own, opened for each look."""

    config: KafkaConfig
    codec: Codec

    def find(self, topic: str, since_ms: int, wanted: frozenset[str]) -> frozenset[str]:
        """Return which of the replays stand in the topic since a time (milliseconds since 1970); raises KafkaError."""
        try:
            consumer = kafka.consumer(self.config, None)
        except UnreachableError as error:
            raise KafkaTimeoutError(str(error)) from None
        try:
            return frozenset(self._read(consumer, topic, since_ms, wanted))
        finally:
            kafka.close_consumer(consumer, _CLOSED_WITHIN_S)

    def _read(self, consumer: KafkaConsumer, topic: str, since_ms: int, wanted: frozenset[str]) -> set[str]:
        places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        ends = consumer.end_offsets(places)
        starts = consumer.offsets_for_times(dict.fromkeys(places, since_ms))
        found: set[str] = set()
        open_places = {place: ends[place] for place in places if starts[place] is not None}
        consumer.assign(list(open_places))
        for place in open_places:
            consumer.seek(place, starts[place].offset)
        until = time.monotonic() + _READ_WITHIN_S
        while any(consumer.position(place) < end for place, end in open_places.items()):
            if time.monotonic() > until:
                raise KafkaTimeoutError(f"{topic} could not be read to its end in time")
            for messages in consumer.poll(_POLL_MS).values():
                found.update(self._ids(messages) & wanted)
        return found

    def _ids(self, messages: list[Any]) -> set[str]:
        decoded = [self.codec.decode(message.value) for message in messages if message.value is not None]
        events = [event for each in decoded if not isinstance(each, Unreadable) for event in events_in(each)]
        return {event.replay_id for event in events if isinstance(event, ReplayRequest)}
