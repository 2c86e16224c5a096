"""A consumer whose topic grows while it polls in short steps goes on reading."""

import time
from contextlib import closing
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

from plumbing.rejoin import collect_joins
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
