"""Where a worker goes on after the group has divided its partitions anew."""

from collections.abc import Iterator
from contextlib import ExitStack
from threading import Event, Thread

import pytest
import structlog
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

from plumbing.client_stalls import collect_joins
from tests.conftest import CreateTopic
from tests.services.kafka import Kafka
from tests.services.process import wait_until
from worker.rebalance import Handover

MESSAGES = 1000
PATIENCE_S = 30.0


@pytest.fixture
def place(kafka: Kafka, topic: CreateTopic) -> TopicPartition:
    """A partition with messages."""
    name = topic("changes")
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap)
    for number in range(MESSAGES):
        producer.send(name, b"%d" % number)
    producer.close(30)
    return TopicPartition(name, 0)


@pytest.fixture
def closing() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def member(kafka: Kafka, group: str, closing: ExitStack) -> KafkaConsumer:
    consumer = KafkaConsumer(
        bootstrap_servers=kafka.bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        heartbeat_interval_ms=100,
        # a member that joined before it had heard of its topic hears of it soon
        metadata_max_age_ms=500,
    )
    collect_joins(consumer)
    closing.callback(consumer.close, timeout_ms=1000)
    return consumer


def join(kafka: Kafka, group: str, topic: str, closing: ExitStack) -> None:
    """Have another member, with another topic, join the group, so that it divides its partitions anew."""
    other, ended = member(kafka, group, closing), Event()
    other.subscribe([topic])

    def poll() -> None:
        while not ended.is_set():
            other.poll(100)

    thread = Thread(target=poll)
    thread.start()
    closing.callback(thread.join)
    closing.callback(ended.set)


def poll_offsets(consumer: KafkaConsumer, count: int) -> list[int]:
    polled = consumer.poll(100, max_records=count)
    return [each.offset for messages in polled.values() for each in messages]


def read_after_rebalance(
    kafka: Kafka, place: TopicPartition, other_topic: str, closing: ExitStack, settled: OffsetAndMetadata
) -> list[int]:
    """Return what a member reads first when its partition comes back, after it said that so much of it is settled."""
    released = Event()

    def release() -> dict[TopicPartition, OffsetAndMetadata]:
        released.set()
        return {place: settled}

    mine = member(kafka, place.topic, closing)
    mine.subscribe([place.topic], listener=Handover(mine, release, structlog.get_logger()))
    wait_until(lambda: bool(poll_offsets(mine, 5)), timeout_s=PATIENCE_S, what="the first poll")
    released.clear()
    join(kafka, place.topic, other_topic, closing)
    after: list[int] = []

    def poll() -> bool:
        offsets = poll_offsets(mine, 1)
        if released.is_set():
            after.extend(offsets)
        return bool(after)

    wait_until(poll, timeout_s=PATIENCE_S, what="the rebalance")
    return after


@pytest.mark.parametrize("settled", [0, MESSAGES - 10], ids=["behind", "ahead"])
def test_a_partition_that_comes_back_is_read_from_where_its_group_stands(
    kafka: Kafka, topic: CreateTopic, place: TopicPartition, closing: ExitStack, settled: int
) -> None:
    # that the group is ahead happens when somebody else had the partition while this member did not look
    offset = OffsetAndMetadata(settled, "", -1)
    assert read_after_rebalance(kafka, place, topic("others"), closing, offset) == [settled]


def test_what_could_not_be_committed_is_read_again(
    kafka: Kafka, topic: CreateTopic, place: TopicPartition, closing: ExitStack
) -> None:
    refused = OffsetAndMetadata(MESSAGES - 10, "longer than a broker takes" * 1000, -1)
    assert read_after_rebalance(kafka, place, topic("others"), closing, refused) == [0]
