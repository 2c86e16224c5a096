"""`--drain`: when everything that was in the topics at the start has been settled, by whichever worker of the group."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from worker.loop import Loop
from worker.metrics import position_of

CHECK_PERIOD_S = 0.3


@dataclass(slots=True)
class Drain:
    """The ends of the topics as they were at the start, for those partitions that held anything."""

    admin: KafkaAdminClient
    group: str
    ends: Mapping[TopicPartition, int]
    checked_at_s: float = 0.0

    def is_reached(self, loop: Loop) -> bool:
        """Whether the group has settled everything up to the ends; asked while nothing is in flight."""
        now_s = loop.monotonic_s()
        if now_s < self.checked_at_s + CHECK_PERIOD_S:
            return False
        self.checked_at_s = now_s
        mine = _positions(loop.consumer, self.ends)
        # positions are past what only the broker writes, such as the marker of a transaction's end
        loop.committed.update({place: OffsetAndMetadata(offset, "", -1) for place, offset in mine.items()})
        rest = {place: end for place, end in self.ends.items() if mine.get(place, 0) < end}
        if not rest:
            return True
        try:
            committed = self.admin.list_group_offsets(self.group)[self.group]
        except KafkaError:
            return False
        return all(place in committed and committed[place].offset >= end for place, end in rest.items())


def ends_now(consumer: KafkaConsumer, topics: Iterable[str]) -> dict[TopicPartition, int]:
    """Return where the topics end now, leaving out empty partitions and topics that do not exist."""
    places = [
        TopicPartition(topic, partition)
        for topic in topics
        for partition in consumer.partitions_for_topic(topic) or ()
    ]
    beginnings = consumer.beginning_offsets(places)
    return {place: end for place, end in consumer.end_offsets(places).items() if end > beginnings[place]}


def _positions(consumer: KafkaConsumer, places: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    assigned = consumer.assignment()
    known = {place: position_of(consumer, place) for place in places if place in assigned}
    return {place: offset for place, offset in known.items() if offset is not None}
