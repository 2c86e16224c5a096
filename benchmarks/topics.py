"""Topics with the changes in one of the formats, filled once a run and read by every side."""

import json
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from confluent_kafka import Producer
from kafka import KafkaAdminClient

from benchmarks.changes import PARTITIONS, Change, customers
from benchmarks.wire import (
    Message,
    avro_key_schema,
    avro_message,
    avro_value_schema,
    check,
    frame,
    json_message,
    typed_message,
    typed_value_schema,
)


class Format(StrEnum):
    """How the source topic is written."""

    JSON = "json"
    AVRO = "avro"
    TYPED = "typed"


@dataclass(frozen=True, slots=True)
class Topic:
    """A filled topic; `records` counts all its records, `bytes_each` is the average of key and value together."""

    name: str
    format: Format
    changes: int
    records: int
    bytes_each: int
    one_bad_in: int = 0


def register(registry: str, subject: str, schema: dict[str, Any]) -> int:
    """Register a schema in a registry that speaks Confluent's API and return its id."""
    request = urllib.request.Request(
        f"{registry}/subjects/{subject}/versions",
        json.dumps({"schema": json.dumps(schema)}).encode(),
        {"Content-Type": "application/vnd.schemaregistry.v1+json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return int(json.load(answer)["id"])


def create(
    bootstrap: str, name: str, *, partitions: int = PARTITIONS, configs: dict[str, str] | None = None
) -> None:
    """Create a topic, empty: one that exists under the name is deleted first."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        if name in admin.list_topics():
            admin.delete_topics([name])
        wanted = {"num_partitions": partitions, "replication_factor": 1, "configs": configs or {}}
        admin.create_topics({name: wanted}, wait_for_metadata=True)
    finally:
        admin.close()


def produce(bootstrap: str, name: str, messages: Iterable[tuple[Message, int | None]]) -> tuple[int, int]:
    """Write messages as fast as one process can; return how many and how many bytes of key and value they have."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "log_level": 3,
            "linger.ms": 20,
            "batch.size": 262_144,
            "queue.buffering.max.messages": 200_000,
            "queue.buffering.max.kbytes": 131_072,
        }
    )
    count = size = 0
    send, poll = producer.produce, producer.poll
    for message, partition in messages:
        options: dict[str, Any] = {"headers": message.headers}
        if partition is not None:
            options["partition"] = partition
        while True:
            try:
                send(name, message.value, message.key, **options)
                break
            except BufferError:
                poll(0.05)
        count += 1
        size += len(message.key) + len(message.value)
        if not count & 1023:
            poll(0)
    if left := producer.flush(120):
        raise RuntimeError(f"{left} messages were not written to {name}")
    return count, size


def fill(bootstrap: str, registry: str, form: Format, changes: int, *, one_bad_in: int = 0) -> Topic:
    """Create and fill the topic of a format; the changes are the same in each."""
    check(customers(1000))
    bad = f"-bad{one_bad_in}" if one_bad_in else ""
    name = f"bench-{form}-{changes}{bad}"
    create(bootstrap, name, configs={"retention.ms": "-1", "segment.bytes": "268435456"})
    write = writer(registry, form, name)
    content = customers(changes, one_bad_in=one_bad_in)
    count, size = produce(bootstrap, name, ((write(change), change.partition) for change in content))
    return Topic(name, form, changes, count, size // count, one_bad_in)


def writer(registry: str, form: Format, topic: str) -> Callable[[Change], Message]:
    """Return the function that puts a change on the wire; its schemas are registered under the topic's subjects."""
    match form:
        case Format.JSON:
            return json_message
        case Format.AVRO:
            write, schema = avro_message, avro_value_schema()
        case Format.TYPED:
            write, schema = typed_message, typed_value_schema()
    key = frame(register(registry, f"{topic}-key", avro_key_schema()))
    value = frame(register(registry, f"{topic}-value", schema))
    return lambda change: write(change, key, value)
