"""One source partition, one real target, one real state store and a worker that can be killed between any two effects.

The target refuses names that begin with "bad" while a word stands in its table `forbidden`.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import orjson

from plumbing.database import open_engine
from schemas.change import Kind, Op, RecordChange, Shape
from schemas.events import Decision, Event, ReplayRequest, SyncFailed, SyncResolved
from tests.unit.worker.build import TOPIC, a_mapping
from worker.batch import Translator
from worker.connectors.protocol import Connector, Description, Refused
from worker.connectors.sql.connector import open_sql
from worker.message import StoredMessage
from worker.parked import follow
from worker.plan import MappingPlan
from worker.report import Reporter
from worker.settle import Settled, settle
from worker.state.migrate import upgrade
from worker.state.store import Locked, StateStore

KINDS = {"number": Kind.TEXT, "name": Kind.TEXT, "city": Kind.TEXT}
WHOLE = Shape(("number", "name", "city"), KINDS)
WITHOUT_NAME = Shape(("number", "city"), KINDS, lacks=frozenset({"name"}))
WITHOUT_CITY = Shape(("number", "name"), KINDS, lacks=frozenset({"city"}))
TARGET = """
create table account (number text primary key, name text not null, city text);
create table forbidden (word text);
create table written (number text, name text);
create trigger refuse_insert before insert on account when new.name like 'bad%' and exists (select 1 from forbidden)
begin select raise(abort, 'refused'); end;
create trigger refuse_update before update on account when new.name like 'bad%' and exists (select 1 from forbidden)
begin select raise(abort, 'refused'); end;
create trigger note_insert after insert on account begin insert into written values (new.number, new.name); end;
create trigger note_update after update on account begin insert into written values (new.number, new.name); end;
insert into forbidden values ('bad');
"""


class KilledError(BaseException):
    """The process is gone."""


@dataclass(slots=True)
class Entries:
    """What a sink would make of the events: open failures by record, and how many each record had."""

    seen: set[str] = field(default_factory=set)
    open: dict[str, SyncFailed] = field(default_factory=dict)
    last: dict[str, SyncFailed] = field(default_factory=dict)

    def hear(self, event: Event) -> None:
        """Take in one event."""
        match event:
            case SyncFailed() if event.failure_id not in self.seen:
                self.seen.add(event.failure_id)
                self.open[event.source.record_id] = self.last[event.source.record_id] = event
            case SyncResolved():
                last = self.last.get(event.record_id)
                if last is not None and _offset(event) >= _offset(last):
                    self.open.pop(event.record_id, None)
            case _:
                pass


class KillableStore(StateStore):
    """A state store before and after whose writes the process may be killed."""

    die: Callable[[], None] = staticmethod(lambda: None)

    def remember(self, failures: Any) -> None:
        self.die()
        super().remember(failures)
        self.die()

    def forget(self, mapping: str, failures: Any) -> None:
        self.die()
        super().forget(mapping, failures)
        self.die()

    @contextmanager
    def lock_replayed(self, mapping: str, requests: Any) -> Iterator[Locked]:
        with super().lock_replayed(mapping, requests) as locked:

            def forget() -> None:
                self.die()
                locked.forget()
                self.die()

            yield replace(locked, forget=forget)

    def drop_parked(self, mapping: str, record_ids: Any) -> None:
        self.die()
        super().drop_parked(mapping, record_ids)
        self.die()

    def unpark(self, mapping: str, messages: Any) -> None:
        self.die()
        super().unpark(mapping, messages)
        self.die()


class World:
    """One source partition, one target, one state store, one sink, and a worker that may be killed.

    The state is in SQLite, or in the database at `state_url`, of a group of its own.
    """

    def __init__(
        self,
        folder: Path,
        order: Literal["latest", "strict"],
        *,
        max_parked: int = 1024,
        state_url: str | None = None,
    ) -> None:
        self.target = sqlite3.connect(folder / "target.db", isolation_level=None)
        self.target.executescript(TARGET)
        engine = open_engine(state_url or f"sqlite:///{folder}/state.db")
        upgrade(engine)
        self.state = KillableStore(
            engine, folder.name, max_parked_records=max_parked, max_parked_changes=max_parked
        )
        self.connector: Connector = open_sql(f"sqlite:///{folder}/target.db", {})
        described = self.connector.describe("account")
        assert isinstance(described, Description)
        self.mapping: MappingPlan = a_mapping(order=order, description=described)
        self.translator = Translator({"customers": read_change}, {"customers": lambda _key, _headers: None})
        self.reporter = Reporter("worker", "1", "replay")
        self.entries = Entries()
        self.log: list[StoredMessage] = []
        self.committed = 0
        self.without_room: list[int] = []
        self.steps_left: int | None = None
        self.state.die = self.step

    def close(self) -> None:
        """Close everything."""
        self.connector.close()
        self.state.close()
        self.target.close()

    # what settling needs
    def connector_of(self, _mapping: str) -> Connector:
        return self.connector

    def now(self) -> datetime:
        return datetime.now(UTC)

    def wait(self, _seconds: float) -> None:
        return

    def jitter(self) -> float:
        return 0.0

    def trips(self, _changes: int, _self_healing: int) -> bool:
        return False

    def send(self, events: Sequence[Event]) -> None:
        for event in events:
            self.step()
            self.entries.hear(event)
        self.step()

    def step(self) -> None:
        """Die when it is time to."""
        if self.steps_left is not None:
            if not self.steps_left:
                raise KilledError
            self.steps_left -= 1

    # what a test does
    def change(self, number: str, name: str, city: str | None = None) -> None:
        """Add a change to the source topic."""
        self._publish({"number": number, "name": name, "city": city})

    def change_without_name(self, number: str, city: str) -> None:
        """Add a change that does not bring the name, as a database leaves out a long text that stayed as it was."""
        self._publish({"number": number, "city": city})

    def change_without_city(self, number: str, name: str) -> None:
        """Add a change that does not bring the city."""
        self._publish({"number": number, "name": name})

    def _publish(self, row: dict[str, str | None]) -> None:
        self.log.append(StoredMessage(TOPIC, 0, len(self.log), 0, None, orjson.dumps(row)))

    def deliver(self, size: int, killed_after: int | None = None) -> None:
        """Let a worker settle the next messages; its death leaves them uncommitted."""
        batch = self.log[self.committed : self.committed + size]
        self._attempt(lambda: self._settle(self.translator.part(self.mapping, batch).rounds), killed_after)
        if self.steps_left != 0:
            self.committed += len(batch)
        self.steps_left = None

    def replay(
        self, records: str, decision: Decision = Decision.RETRY, killed_after: int | None = None
    ) -> None:
        """Let the worker have the entries of records again, all at once; requests that killed it are delivered again."""
        requests = [
            ReplayRequest(
                "replay",
                entry.failure_id,
                "customers",
                "forward",
                record,
                decision,
                False,
                entry.position,
                entry.original,
            )
            for record in records
            if (entry := self.entries.last.get(record)) is not None and entry.position is not None
        ]
        rounds = self.translator.replays(self.mapping, requests, lambda _: None).rounds
        self._attempt(lambda: self._settle(rounds), killed_after)
        if self.steps_left == 0:
            self.steps_left = None
            self._settle(rounds)
        self.steps_left = None

    def _attempt(self, work: Callable[[], None], killed_after: int | None) -> None:
        self.steps_left = killed_after
        try:
            work()
        except KilledError:
            self.steps_left = 0
        else:
            self.steps_left = None

    def _settle(self, rounds: Sequence[Sequence[Any]]) -> None:
        for changes in rounds:
            settled = settle(self.mapping, changes, self, last_chance=True)
            assert isinstance(settled, Settled), settled
            self.without_room += [message.offset for message in settled.full]
            if settled.freed:
                assert not isinstance(follow(self.mapping, settled.freed, self, self.translator), Refused)

    def settle_everything(self) -> None:
        """Deliver all that is left, as a worker does that was started again."""
        orphans = sorted(self.state.parked_records("customers"))
        follow(self.mapping, orphans, self, self.translator)
        while self.committed < len(self.log):
            self.deliver(1000)

    def allow_everything(self) -> None:
        """Repair the target."""
        self.target.execute("delete from forbidden")

    def rows(self) -> dict[str, str]:
        """Return what the target holds."""
        return dict(self.target.execute("select number, name from account").fetchall())

    def whole_rows(self) -> dict[str, tuple[str, str | None]]:
        """Return what the target holds, with the cities."""
        rows = self.target.execute("select number, name, city from account").fetchall()
        return {number: (name, city) for number, name, city in rows}

    def written(self, number: str) -> list[str]:
        """Return everything that was ever written to a record, in order."""
        query = "select name from written where number = ? order by rowid"
        return [name for (name,) in self.target.execute(query, (number,))]

    def expected(self) -> dict[str, str]:
        """Return the names that the source holds."""
        return {number: name for number, (name, _) in self.whole_expected().items()}

    def whole_expected(self) -> dict[str, tuple[str, str | None]]:
        """Return what the source holds."""
        rows: dict[str, dict[str, Any]] = {}
        for message in self.log:
            row = orjson.loads(message.value or b"")
            rows.setdefault(row["number"], {}).update(row)
        return {number: (row["name"], row["city"]) for number, row in rows.items()}


def read_change(_key: bytes | None, value: bytes | None, _headers: object) -> RecordChange:
    """Decode the test's own messages."""
    row = orjson.loads(value or b"")
    shape = WHOLE if len(row) == len(WHOLE.names) else WITHOUT_CITY if "name" in row else WITHOUT_NAME
    return RecordChange(Op.UPDATE, None, row, shape)


def _offset(event: SyncFailed | SyncResolved) -> int:
    """Return where the change of an event stands."""
    assert event.position is not None
    return event.position.offset
