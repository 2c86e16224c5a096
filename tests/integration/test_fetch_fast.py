"""The fast reader on a real broker, in the open and over TLS, gives what the client's own gives."""

from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from plumbing.fetch_fast import read_faster
from tests.conftest import CreateTopic
from tests.services.kafka import Kafka

COUNT = 3000


def everything(topic: str, options: dict[str, Any], *, faster: bool) -> list[Any]:
    found: list[Any] = []
    place = TopicPartition(topic, 0)
    with closing(
        KafkaConsumer(auto_offset_reset="earliest", enable_auto_commit=False, **options)
    ) as consumer:
        if faster:
            assert read_faster(consumer)
        consumer.assign([place])
        while len(found) < COUNT:
            polled = consumer.poll(10_000)
            assert polled, f"only {len(found)} of {COUNT} records came"
            found += polled[place]
    return found


def secure(kafka: Kafka) -> dict[str, Any]:
    return {
        "bootstrap_servers": kafka.secure_bootstrap,
        "security_protocol": "SASL_SSL",
        "ssl_cafile": kafka.ca_file,
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": kafka.user,
        "sasl_plain_password": kafka.password,
    }


@pytest.mark.parametrize("codec", [None, "lz4", "zstd"])
def test_reads_a_real_topic_like_the_client(kafka: Kafka, topic: CreateTopic, codec: str | None) -> None:
    name = topic("fetch")
    with closing(
        KafkaProducer(bootstrap_servers=kafka.bootstrap, compression_type=codec, linger_ms=20)
    ) as producer:
        for number in range(COUNT):
            key = None if number % 7 == 0 else b"k%d" % number
            value = None if key and number % 11 == 0 else b"v" * (number % 2000)
            headers = [("id", b"%d" % (number % 3))] if number % 2 else []
            producer.send(name, value, key, headers)
        producer.flush(30)

    in_the_open = {"bootstrap_servers": kafka.bootstrap}
    expected = everything(name, in_the_open, faster=False)
    assert len(expected) == COUNT
    assert everything(name, in_the_open, faster=True) == expected
    assert everything(name, secure(kafka), faster=True) == expected
