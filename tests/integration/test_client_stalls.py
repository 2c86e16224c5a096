"""A consumer goes on reading: when its topic grows while it polls in short steps, and when a partition is resumed.

And a poll that runs out of time keeps nothing of its caller.
"""

import gc
import time
import weakref
from contextlib import closing
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from plumbing.client_stalls import collect_joins, let_go_of_timeouts, take_up_resumed
from tests.conftest import CreateTopic
from tests.services.kafka import Kafka


def polls_until_assigned(consumer: KafkaConsumer, partitions: int, *, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        consumer.poll(1)
        coordinator = consumer._coordinator
        if len(consumer.assignment()) == partitions and not coordinator.rejoining:
            return True
    return False


@pytest.mark.parametrize("round_number", range(3))
def test_a_join_that_outlasts_its_poll_is_collected(
    kafka: Kafka, topic: CreateTopic, round_number: int
) -> None:
    name = topic(f"grows-{round_number}")
    consumer = KafkaConsumer(
        name,
        bootstrap_servers=kafka.bootstrap,
        group_id=uuid4().hex,
        enable_auto_commit=False,
        metadata_max_age_ms=200,
    )
    with closing(consumer), closing(KafkaAdminClient(bootstrap_servers=kafka.bootstrap)) as admin:
        collect_joins(consumer)
        assert polls_until_assigned(consumer, 1, timeout_s=20)

        admin.create_partitions({name: 3})

        assert polls_until_assigned(consumer, 3, timeout_s=20)
        assert TopicPartition(name, 2) in consumer.assignment()


def poll_all(consumer: KafkaConsumer, number: int, *, timeout_s: float = 10) -> int:
    deadline = time.monotonic() + timeout_s
    read = 0
    while read < number and time.monotonic() < deadline:
        read += sum(map(len, consumer.poll(50).values()))
    return read


def test_what_was_put_aside_while_its_partition_was_paused_is_read(kafka: Kafka, topic: CreateTopic) -> None:
    name = topic("paused", partitions=2)
    first, second = TopicPartition(name, 0), TopicPartition(name, 1)
    with closing(KafkaProducer(bootstrap_servers=kafka.bootstrap)) as producer:
        for number in range(20):
            producer.send(name, b"%d" % number, partition=number % 2)
        producer.flush()
    consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest")
    with closing(consumer):
        take_up_resumed(consumer)
        consumer.assign([first, second])
        consumer.pause(second)
        while not consumer.poll(100, max_records=1):
            pass
        consumer.pause(first)
        consumer.resume(second)
        assert poll_all(consumer, 10) == 10

        consumer.resume(first)
        assert poll_all(consumer, 9) == 9


class Gathered:
    """Stands for what a caller holds while it polls."""


def gather(consumer: KafkaConsumer) -> "weakref.ref[Gathered]":
    gathered = Gathered()
    assert not consumer.poll(20)
    return weakref.ref(gathered)


def test_a_poll_that_runs_out_of_time_keeps_nothing_that_its_caller_held(
    kafka: Kafka, topic: CreateTopic
) -> None:
    name = topic("quiet")
    consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest")
    with closing(consumer):
        let_go_of_timeouts(consumer)
        consumer.assign([TopicPartition(name, 0)])
        consumer.poll(500)
        gc.collect()
        gc.disable()
        try:
            assert [gather(consumer)() for _ in range(5)] == [None] * 5
        finally:
            gc.enable()
