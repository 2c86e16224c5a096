"""One lane as a worker has it, over a real target and a real state store in SQLite."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import orjson
import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy import Engine

from plumbing.database import open_engine
from schemas.decoder import Decoder
from schemas.events import Event
from tests.unit.worker.build import TOPIC, a_mapping
from worker.batch import Batch, Part, Translator, next_offsets
from worker.connectors.protocol import Connector, Description
from worker.connectors.sql.connector import open_sql
from worker.lane import Done, Lane, World
from worker.message import StoredMessage
from worker.metrics import WorkerMetrics
from worker.plan import MappingPlan
from worker.progress import Tally
from worker.report import Reporter
from worker.state.migrate import upgrade
from worker.state.store import StateStore

ACCOUNT = "create table account (number text primary key, name varchar(12), credit integer)"


@dataclass(slots=True)
class Laned:
    """A lane with one mapping of customers to the table `account`; `events` is what it reported."""

    lane: Lane
    mapping: MappingPlan
    translator: Translator
    target: Engine
    state: StateStore
    events: list[Event] = field(default_factory=list)

    def part(self, *messages: StoredMessage) -> Part:
        """Return messages as the part of a batch."""
        return self.translator.part(self.mapping, messages)

    def work(self, *parts: Part) -> Done | None:
        """Settle a batch of these parts."""
        messages = [message for part in parts for message in part.messages]
        return self.lane.work(Batch(messages, parts, next_offsets(messages)), threading.Event())

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the target's rows by their key."""
        with self.target.connect() as connection:
            rows = connection.exec_driver_sql("select * from account order by number").all()
            return [tuple(row) for row in rows]

    def execute(self, *statements: str) -> None:
        """Do something in the target."""
        with self.target.begin() as connection:
            for each in statements:
                connection.exec_driver_sql(each)


def a_message(offset: int, after: dict[str, Any]) -> StoredMessage:
    """Return an update as Debezium writes it, without schema."""
    value = orjson.dumps({"op": "u", "after": after, "before": None, "source": {"ts_ms": 1}})
    return StoredMessage(TOPIC, 0, offset, 1_700_000_000_000 + offset, None, value)


@contextmanager
def laned(folder: Path, order: Literal["latest", "strict"], *tables: str) -> Iterator[Laned]:
    """Open a lane over these tables, `account` among them, until the end of the block."""
    target = open_engine(f"sqlite:///{folder}/target.db")
    with target.begin() as connection:
        for each in tables or (ACCOUNT,):
            connection.exec_driver_sql(each)
    engine = open_engine(f"sqlite:///{folder}/state.db")
    upgrade(engine)
    connector = open_sql(f"sqlite:///{folder}/target.db", {})
    described = connector.describe("account")
    assert isinstance(described, Description)
    mapping = a_mapping(order=order, description=described)
    decoder = Decoder(lambda _: None)
    translator = Translator({mapping.name: decoder}, {mapping.name: decoder.key_fields})
    state, events = StateStore(engine, "group"), list[Event]()
    lane = Lane(_world(connector, state, translator, events), {mapping.name: mapping})
    lane.proven.add("crm")
    try:
        yield Laned(lane, mapping, translator, target, state, events)
    finally:
        connector.close()
        state.close()
        target.dispose()


def _world(connector: Connector, state: StateStore, translator: Translator, events: list[Event]) -> World:
    apps = ["crm", "(state store)", "(errors topic)", "(schema registry)"]

    def report(some: Sequence[Event]) -> None:
        events.extend(some)

    return World(
        apps={"customers": "crm"},
        connectors={"crm": connector},
        state=state,
        reporter=Reporter("worker", "1", "replay"),
        translator=translator,
        compile=lambda _: None,
        report=report,
        metrics=WorkerMetrics(CollectorRegistry(), {"customers": "forward"}, apps),
        tally=Tally(["customers"], datetime.now(UTC)),
        log=structlog.get_logger(),
        now=lambda: datetime.now(UTC),
        jitter=lambda: 0.0,
        monotonic_s=time.monotonic,
    )
