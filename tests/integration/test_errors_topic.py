"""What a worker reports, on a real Kafka: many resolutions in one message, each in the partition of its record."""

from collections.abc import Iterator, Sequence

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from plumbing import kafka
from schemas.bundles import events_in
from schemas.codec import Unreadable
from schemas.config.kafka import KafkaConfig
from schemas.events import Event, SyncResolved, event_key
from tests.conftest import CreateTopic
from tests.services.kafka import Kafka
from tests.sink_events import CODEC, failed, resolved
from worker.errors_topic import ErrorsTopic

LIMIT_BYTES = 1_000_000


@pytest.fixture
def producer(kafka: Kafka) -> Iterator[KafkaProducer]:
    made = opened(kafka)
    yield made
    made.close(timeout=5)


def opened(service: Kafka) -> KafkaProducer:
    config = KafkaConfig.model_validate({"bootstrap": service.bootstrap, "group": "erp-crm"})
    return kafka.producer(config)


def ends(number: int) -> list[SyncResolved]:
    return [resolved(failed(f"C{n:02}", n), seconds=900) for n in range(number)]


def stored(service: Kafka, topic: str, partitions: int) -> dict[int, list[bytes]]:
    """Return the values in a topic by partition."""
    places = [TopicPartition(topic, number) for number in range(partitions)]
    consumer = KafkaConsumer(bootstrap_servers=service.bootstrap)
    consumer.assign(places)
    consumer.seek_to_beginning()
    end = consumer.end_offsets(places)
    found: dict[int, list[bytes]] = {place.partition: [] for place in places}
    while any(consumer.position(place) < end[place] for place in places):
        for place, messages in consumer.poll(200).items():
            found[place.partition] += [message.value for message in messages]
    consumer.close()
    return found


def events_of(values: Sequence[bytes]) -> list[Event]:
    decoded = [CODEC.decode(value) for value in values]
    return [event for each in decoded if not isinstance(each, Unreadable) for event in events_in(each)]


def test_many_resolutions_travel_together_each_in_the_partition_of_its_record(
    kafka: Kafka, topic: CreateTopic, producer: KafkaProducer
) -> None:
    here, alone = topic("errors", partitions=3), topic("alone", partitions=3)
    ErrorsTopic(producer, here, CODEC.encode, LIMIT_BYTES).report(ends(60))
    for each in ends(60):
        producer.send(alone, CODEC.encode(each), key=event_key(each))
    producer.flush()
    together, singly = stored(kafka, here, 3), stored(kafka, alone, 3)
    assert {place: len(values) for place, values in together.items()} == {0: 1, 1: 1, 2: 1}
    for place in range(3):
        assert events_of(together[place]) == events_of(singly[place])


def test_failures_travel_alone_beside_them(kafka: Kafka, topic: CreateTopic, producer: KafkaProducer) -> None:
    here = topic("errors")
    failures = [failed(f"F{n}", 100 + n) for n in range(20)]
    ErrorsTopic(producer, here, CODEC.encode, LIMIT_BYTES).report([*failures, *ends(20)])
    values = stored(kafka, here, 1)[0]
    assert len(values) == 21
    assert sorted(map(repr, events_of(values))) == sorted(map(repr, [*failures, *ends(20)]))


def test_few_resolutions_travel_alone(kafka: Kafka, topic: CreateTopic, producer: KafkaProducer) -> None:
    here = topic("errors")
    ErrorsTopic(producer, here, CODEC.encode, LIMIT_BYTES).report(ends(5))
    assert [CODEC.decode(value) for value in stored(kafka, here, 1)[0]] == ends(5)


def test_topic_that_takes_less_than_it_said_gets_smaller_messages(
    kafka: Kafka, topic: CreateTopic, producer: KafkaProducer
) -> None:
    here = topic("errors", config={"max.message.bytes": "8000"})
    long = [each._replace(record_id=f"{each.record_id}{'x' * 400}") for each in ends(60)]
    ErrorsTopic(producer, here, CODEC.encode, LIMIT_BYTES).report(long)
    # those that it took before it refused one are told again, which changes nothing
    assert {
        each.failure_id for each in events_of(stored(kafka, here, 1)[0]) if isinstance(each, SyncResolved)
    } == {each.failure_id for each in long}
