"""`instep worker --drain` as a side, in as many processes as wanted."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from kafka import KafkaConsumer, TopicPartition

from benchmarks.ground import Ground
from benchmarks.sides import Command, Side, SideFailedError
from benchmarks.targets import TABLE, Target
from benchmarks.topics import Topic
from schemas.events import FAILURE_HEADER
from tests.services.process import free_port

INSTEP = str(Path(sys.executable).with_name("instep"))


def workers(ground: Ground, processes: int = 1, *, name: str = "instep worker") -> Side:
    """Return the side: one configuration with a group and topics of its own for each turn.

    State in SQLite for one worker, as by default; in PostgreSQL for several, which need a database that they share.
    """

    def commands(topic: Topic, target: Target, folder: Path) -> Sequence[Command]:
        group = f"instep-{uuid4().hex}"
        state = f"sqlite:///{folder}/state.db" if processes == 1 else ground.new_postgres_url()
        files = []
        for number in range(processes):
            file = folder / f"instep-{number}.yaml"
            content = configuration(ground, topic, target, group, state)
            file.write_text(yaml.safe_dump(content, sort_keys=False))
            files.append(file)
        create_topics(files[0])
        return [Command([INSTEP, "worker", "-c", str(file), "--drain"]) for file in files]

    return Side(f"{name} x {processes}", commands, ends_itself=True)


def create_topics(file: Path) -> None:
    """Make the topics of our own that a configuration names."""
    subprocess.run([INSTEP, "topics", "create", "-c", str(file)], check=True, capture_output=True)


def configuration(ground: Ground, topic: Topic, target: Target, group: str, state: str) -> dict[str, Any]:
    """Return the content of a worker's configuration file; `state` is the URL of its state store."""
    return {
        "kafka": {
            "bootstrap": ground.bootstrap,
            "group": group,
            "errors_topic": f"{group}.errors",
            "registry": {"url": ground.registry},
        },
        "apps": {"erp": {}, "crm": {"connector": "sql", "url": target.url}},
        "mappings": {
            "customers": {
                "source": {"app": "erp", "entity": "customers", "topic": topic.name, "key": "number"},
                "target": {"app": "crm", "entity": TABLE, "key": "number"},
                "on_delete": "propagate",
            }
        },
        "worker": {"state": {"url": state}, "batch": 2000, "metrics": f"127.0.0.1:{free_port()}"},
    }


def failures_reported(ground: Ground) -> Callable[[Topic, Path], None]:
    """Return a check that every bad record of the topic, and none else, was reported as a failure once."""

    def check(topic: Topic, folder: Path) -> None:
        errors = yaml.safe_load((folder / "instep-0.yaml").read_text())["kafka"]["errors_topic"]
        reported = _failure_ids(ground.bootstrap, errors)
        wanted = topic.changes // topic.one_bad_in
        if len(reported) != wanted or len(set(reported)) != wanted:
            raise SideFailedError(
                f"{len(reported)} failures reported ({len(set(reported))} distinct), {wanted} expected"
            )

    return check


def _failure_ids(bootstrap: str, topic: str) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    places = [TopicPartition(topic, partition) for partition in consumer.partitions_for_topic(topic) or ()]
    consumer.assign(places)
    ends = consumer.end_offsets(places)
    found: list[bytes] = []
    while any(consumer.position(place) < ends[place] for place in places):
        for records in consumer.poll(500).values():
            found += [value for record in records for name, value in record.headers if name == FAILURE_HEADER]
    consumer.close()
    return found
