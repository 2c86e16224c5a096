"""What a broker tells of topics and groups: where they end, what was committed, what they hold."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError


class Asking:
    """Questions to the broker about ends and committed offsets."""

    def __init__(self, admin: KafkaAdminClient, consumer: KafkaConsumer) -> None:
        self._admin, self._consumer = admin, consumer

    def ends(self, topics: Iterable[str]) -> dict[TopicPartition, int]:
        """Where the topics end now."""
        return ends_of(self._consumer, topics)

    def reached(self, group: str, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether a group has committed all that."""
        try:
            committed = self._admin.list_group_offsets(group)[group]
        except KafkaError:
            return False
        return all(
            place in committed and committed[place].offset >= end for place, end in ends.items() if end
        )


@contextmanager
def asking(bootstrap: str) -> Iterator[Asking]:
    admin, consumer = (
        KafkaAdminClient(bootstrap_servers=bootstrap),
        KafkaConsumer(bootstrap_servers=bootstrap),
    )
    try:
        yield Asking(admin, consumer)
    finally:
        admin.close()
        consumer.close()


def ends_of(consumer: KafkaConsumer, topics: Iterable[str]) -> dict[TopicPartition, int]:
    """Where topics end now, by partition."""
    places = [
        TopicPartition(topic, partition)
        for topic in topics
        for partition in consumer.partitions_for_topic(topic) or ()
    ]
    ends: dict[TopicPartition, int] = consumer.end_offsets(places)
    return ends


def read_topic(bootstrap: str, topic: str) -> list[bytes]:
    """The values of all that a topic holds now."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    try:
        ends = ends_of(consumer, [topic])
        consumer.assign(list(ends))
        values: list[bytes] = []
        while any(consumer.position(place) < end for place, end in ends.items()):
            for records in consumer.poll(500).values():
                values += [record.value for record in records]
        return values
    finally:
        consumer.close()
