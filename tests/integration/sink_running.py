"""A sink as its own process on a real Kafka, for the sink's integration tests."""

import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import orjson
from kafka import KafkaProducer
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from schemas.config.model import Config
from schemas.config.parse import parse_config
from schemas.events import FAILURE_HEADER, REPLAY_HEADER, Event, SyncFailed, SyncResolved, event_key
from sink.store import tables
from sink.store.entries import Entry, Filter, read_all
from sink.store.store import Store, open_store
from tests.command import Running
from tests.services.process import free_port
from tests.sink_events import CODEC

PATIENCE_S = 60.0

Value = TypeVar("Value")


def eventually(look: Callable[[], Value], *, within_s: float = PATIENCE_S, every_s: float = 0.1) -> Value:
    """Look until it is true; fails when it does not become so."""
    until = time.monotonic() + within_s
    while True:
        found = look()
        if found or time.monotonic() > until:
            assert found, "it did not become true in time"
            return found
        time.sleep(every_s)


@dataclass(frozen=True, slots=True)
class SinkSetup:
    """What a sink of a test works with; all sinks made of it share group, topic and store."""

    folder: Path
    bootstrap: str
    topic: str
    replay_topic: str
    store_url: str
    settings: dict[str, object]

    @property
    def group(self) -> str:
        """The workers' group."""
        return self.replay_topic.removesuffix(".replay")

    def write(self, port: int) -> Path:
        """Write a configuration and return its file."""
        content: dict[str, dict[str, object]] = {
            "kafka": {
                "bootstrap": self.bootstrap,
                "group": self.group,
                "errors_topic": self.topic,
                "client": {"session_timeout_ms": 6000},
            },
            "apps": {"erp": {}, "crm": {"connector": "sql", "url": f"sqlite:///{self.folder}/crm.db"}},
            "mappings": {
                "customers": {
                    "source": {
                        "app": "erp",
                        "entity": "customers",
                        "topic": "erp.customers",
                        "key": "number",
                    },
                    "target": {"app": "crm", "entity": "account", "key": "number"},
                    "on_delete": "propagate",
                }
            },
            "worker": {"state": {"url": f"sqlite:///{self.folder}/state.db"}},
            "sink": {"store": {"url": self.store_url}, "listen": f"127.0.0.1:{port}", **self.settings},
        }
        # the tests' events are of a fixed date, and shall not age out
        content["sink"] = {"retention": {"closed": "36500d", "payload": "36500d"}, **content["sink"]}
        file = self.folder / f"instep-{port}.yaml"
        file.write_bytes(orjson.dumps(content))
        return file

    def config(self) -> Config:
        """Return the configuration as a value."""
        file = self.write(free_port())
        config = parse_config(file.read_text(), str(file), os.environ, lambda _: "")
        assert isinstance(config, Config)
        return config

    def store(self) -> Store:
        """Return the store, to look into."""
        return open_store(self.store_url)

    def counted(self) -> int:
        """Return how many failures were ingested, 0 while the store is away or has no tables."""
        store = self.store()
        try:
            with store.reading() as connection:
                return int(connection.scalar(select(func.sum(tables.entry.c.count))) or 0)
        except DBAPIError:
            return 0
        finally:
            store.close()

    def entries(self, wanted: Filter | None = None) -> list[Entry]:
        """Return the entries in the store, none while it is away or has no tables."""
        store = self.store()
        try:
            with store.reading() as connection:
                return list(read_all(connection, wanted or Filter()))
        except DBAPIError:
            return []
        finally:
            store.close()


class RunningSink:
    """One sink process."""

    def __init__(self, setup: SinkSetup) -> None:
        self.port = free_port()
        self.file = setup.write(self.port)
        self.log = setup.folder / f"sink-{self.port}.log"
        self.process = Running(["sink", "-c", str(self.file)], self.log, folder=setup.folder)

    def get(self, path: str) -> tuple[int, str]:
        """Return status and text of a page; 0 while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def is_ready(self) -> bool:
        """Whether /readyz says so."""
        return self.get("/readyz")[0] == 200

    def metric(self, series: str) -> float:
        """Return the value of a series, -1 where there is none."""
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(f"{series} "):
                return float(line.rpartition(" ")[2])
        return -1

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)


@contextmanager
def running(setup: SinkSetup) -> Iterator[RunningSink]:
    """A sink that is ready; killed in the end if it still runs."""
    sink = RunningSink(setup)
    try:
        eventually(lambda: sink.is_ready() or sink.process.poll() is not None)
        assert sink.process.poll() is None, sink.log.read_text()
        yield sink
    finally:
        if sink.process.poll() is None:
            sink.kill()


@contextmanager
def producing(bootstrap: str) -> Iterator[KafkaProducer]:
    """A producer, closed in the end."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=5, batch_size=256 << 10)
    try:
        yield producer
    finally:
        producer.close(timeout=10)


def send(bootstrap: str, topic: str, events: Sequence[Event]) -> None:
    """Produce events as workers do, and wait until the broker has them."""
    with producing(bootstrap) as producer:
        for event in events:
            headers = []
            if isinstance(event, SyncFailed | SyncResolved):
                headers = [(FAILURE_HEADER, event.failure_id.encode())]
                if event.replay_id is not None:
                    headers.append((REPLAY_HEADER, event.replay_id.encode()))
            producer.send(topic, CODEC.encode(event), key=event_key(event), headers=headers)
        producer.flush(30)
