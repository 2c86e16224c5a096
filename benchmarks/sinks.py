"""`instep sink`, only reading, and the bare upsert of its rows, as sides that fill a store."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import yaml

from benchmarks.ground import Ground
from benchmarks.sides import Command, Side
from benchmarks.stores import SinkStore
from benchmarks.topics import Topic
from benchmarks.workers import INSTEP
from tests.services.process import free_port


def sink(ground: Ground) -> Side:
    """Return `instep sink` with a group of its own for each turn."""

    def commands(topic: Topic, store: SinkStore, folder: Path) -> Sequence[Command]:
        return [
            Command(
                [INSTEP, "sink", "-c", str(configuration(ground, topic.name, store.url, folder, free_port()))]
            )
        ]

    return Side("instep sink", commands)


def only_read(ground: Ground) -> Side:
    """Return the side that reads the topic and does nothing else."""

    def commands(topic: Topic, store: SinkStore, _: Path) -> Sequence[Command]:
        where = (
            "--bootstrap",
            ground.bootstrap,
            "--topic",
            topic.name,
            "--group",
            f"read-{uuid4().hex}",
            "--url",
            store.url,
        )
        return [Command([sys.executable, "-m", "benchmarks.read_only", *where])]

    return Side("only reading", commands)


def bare_upsert(ground: Ground, filled: str) -> Side:
    """Return the side that upserts the rows of a filled store, at the URL `filled`, into tables like the sink's."""

    def commands(topic: Topic, store: SinkStore, folder: Path) -> Sequence[Command]:
        file = configuration(ground, topic.name, store.url, folder, free_port())
        subprocess.run([INSTEP, "db", "upgrade", "-c", str(file)], check=True, capture_output=True)
        return [
            Command([sys.executable, "-m", "benchmarks.bare_rows", "--source", filled, "--url", store.url])
        ]

    return Side("bare upsert", commands)


def configuration(ground: Ground, errors_topic: str, store_url: str, folder: Path, port: int) -> Path:
    """Write the configuration of a sink that listens on a port; returns the file."""
    content = {
        "kafka": {
            "bootstrap": ground.bootstrap,
            "group": f"instep-{uuid4().hex}",
            "errors_topic": errors_topic,
        },
        "apps": {"erp": {}, "crm": {"connector": "sql", "url": store_url}},
        "mappings": {
            "customers": {
                "source": {"app": "erp", "entity": "customers", "topic": "erp.customers", "key": "number"},
                "target": {"app": "crm", "entity": "customers", "key": "number"},
                "on_delete": "propagate",
            }
        },
        "worker": {"state": {"url": f"sqlite:///{folder}/state.db"}},
        "sink": {"store": {"url": store_url}, "listen": f"127.0.0.1:{port}"},
    }
    file = folder / "instep.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return file
