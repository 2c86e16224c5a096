"""A message that was too large to travel with its failure is read again from its topic, if it still is the same one."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

from schemas.events import Position
from tests.conftest import CreateTopic
from tests.services.kafka import Kafka
from worker.originals import Originals


@pytest.fixture
def originals(kafka: Kafka) -> Iterator[Originals]:
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    opened = Originals(admin, lambda: KafkaConsumer(bootstrap_servers=kafka.bootstrap))
    yield opened
    opened.close()
    admin.close()


@pytest.fixture
def position(kafka: Kafka, topic: CreateTopic) -> Position:
    """Where the one message of a topic stands."""
    producer = KafkaProducer(bootstrap_servers=kafka.bootstrap)
    sent = producer.send(topic("originals"), b"value", key=b"key").get(timeout=20)
    producer.close()
    return Position(sent.topic, sent.partition, sent.offset, sent.timestamp)


def test_a_message_is_found_by_its_position(originals: Originals, position: Position) -> None:
    found = originals.find(position)

    assert found is not None
    assert (found.key, found.value) == (b"key", b"value")


def test_behind_the_end_there_is_none(originals: Originals, position: Position) -> None:
    assert originals.find(Position(position.topic, 0, 1, position.timestamp_ms)) is None


def test_another_message_at_the_same_position_is_not_taken_for_it(
    originals: Originals, position: Position
) -> None:
    assert originals.find(Position(position.topic, 0, 0, position.timestamp_ms - 1)) is None


def test_a_topic_that_is_gone_has_none(originals: Originals) -> None:
    assert originals.find(Position(f"gone-{uuid4().hex}", 0, 0, 0)) is None


def test_a_partition_that_is_gone_has_none(originals: Originals, position: Position) -> None:
    assert originals.find(Position(position.topic, 7, 0, position.timestamp_ms)) is None
