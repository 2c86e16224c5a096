"""Settling with a real state store and a real target, killed between any two of its effects.

The target refuses names that begin with "bad" while a word stands in its table `forbidden`.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plumbing.database import open_engine
from schemas.change import Kind, Op, RecordChange, Shape
from schemas.events import Decision, Event, OriginalRecord, Position, ReplayRequest, SyncFailed, SyncResolved
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
from worker.state.store import StateStore

SHAPE = Shape(("number", "name"), {"number": Kind.TEXT, "name": Kind.TEXT})
TARGET = """
create table account (number text primary key, name text not null);
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
                if last is not None and last.position and event.position:
                    if event.position.offset >= last.position.offset:
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

    def unpark(self, mapping: str, messages: Any) -> None:
        self.die()
        super().unpark(mapping, messages)
        self.die()


class World:
    """One source partition, one target, one state store, one sink, and a worker that may be killed."""

    def __init__(self, folder: Path, order: Literal["latest", "strict"]) -> None:
        self.target = sqlite3.connect(folder / "target.db", isolation_level=None)
        self.target.executescript(TARGET)
        engine = open_engine(f"sqlite:///{folder}/state.db")
        upgrade(engine)
        self.state = KillableStore(engine, "group")
        self.connector: Connector = open_sql(f"sqlite:///{folder}/target.db", {})
        described = self.connector.describe("account")
        assert isinstance(described, Description)
        self.mapping: MappingPlan = a_mapping(order=order, description=described)
        self.translator = Translator({"customers": read_change}, {"customers": lambda _: None})
        self.reporter = Reporter("worker", "1", "replay")
        self.entries = Entries()
        self.log: list[StoredMessage] = []
        self.committed = 0
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
    def change(self, number: str, name: str) -> None:
        """Add a change to the source topic."""
        value = orjson.dumps({"number": number, "name": name})
        self.log.append(StoredMessage(TOPIC, 0, len(self.log), 0, None, value))

    def deliver(self, size: int, killed_after: int | None = None) -> None:
        """Let a worker settle the next messages; its death leaves them uncommitted."""
        batch = self.log[self.committed : self.committed + size]
        self._attempt(lambda: self._settle(self.translator.part(self.mapping, batch).rounds), killed_after)
        if self.steps_left != 0:
            self.committed += len(batch)
        self.steps_left = None

    def replay(self, record: str, decision: Decision = Decision.RETRY, killed_after: int | None = None) -> None:
        """Let the worker have the entry of a record again; a request that killed it is delivered again."""
        entry = self.entries.last.get(record)
        if entry is None or entry.position is None or entry.original is None:
            return
        request = ReplayRequest(
            "replay", entry.failure_id, "customers", "forward", record, decision, False, entry.position, entry.original
        )
        rounds = self.translator.replays(self.mapping, [request], lambda _: None).rounds
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

    def written(self, number: str) -> list[str]:
        """Return everything that was ever written to a record, in order."""
        query = "select name from written where number = ? order by rowid"
        return [name for (name,) in self.target.execute(query, (number,))]

    def expected(self) -> dict[str, str]:
        """Return what the source holds."""
        return {
            row["number"]: row["name"] for row in (orjson.loads(each.value or b"") for each in self.log)
        }


def read_change(_key: bytes | None, value: bytes | None, _headers: object) -> RecordChange:
    """Decode the test's own messages."""
    return RecordChange(Op.UPDATE, None, orjson.loads(value or b""), SHAPE)


@pytest.fixture(params=["latest", "strict"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A fresh world for each order."""
    made = World(tmp_path, request.param)
    yield made
    made.close()


def test_good_changes_arrive_and_bad_ones_are_entries(world: World) -> None:
    world.change("A", "good")
    world.change("B", "bad")

    world.deliver(10)

    assert world.rows() == {"A": "good"}
    assert list(world.entries.open) == ["B"]
    assert world.entries.open["B"].code == "rejected_by_app"


def test_a_later_change_supersedes_the_failure_or_waits_behind_it(world: World) -> None:
    world.change("A", "bad")
    world.deliver(1)
    world.change("A", "later")
    world.deliver(1)

    if world.mapping.order == "latest":
        assert (world.rows(), world.entries.open) == ({"A": "later"}, {})
    else:
        assert world.rows() == {}
        assert world.state.parked_count("customers") == 1


def test_parked_changes_follow_the_replayed_one_in_order(world: World) -> None:
    for name in ("bad", "second", "third"):
        world.change("A", name)
        world.deliver(1)
    world.allow_everything()

    world.replay("A")

    assert world.rows() == {"A": "third"}
    assert world.entries.open == {}
    if world.mapping.order == "strict":
        assert world.written("A") == ["bad", "second", "third"]
        assert world.state.parked_count("customers") == 0


def test_parked_changes_follow_one_that_is_given_up(world: World) -> None:
    for name in ("bad", "second"):
        world.change("A", name)
        world.deliver(1)

    world.replay("A", Decision.DROP)

    assert world.rows() == {"A": "second"}
    assert world.state.parked_count("customers") == 0


def test_a_replay_never_overwrites_anything_newer(world: World) -> None:
    world.change("A", "bad")
    world.deliver(1)
    stale = world.entries.last["A"]
    world.allow_everything()
    world.change("A", "newer")
    world.deliver(1)
    world.replay("A")
    assert stale.position is not None

    assert world.rows() == {"A": "newer"}


def test_a_replay_that_fails_again_counts_up_and_stays_open(world: World) -> None:
    world.change("A", "bad")
    world.deliver(1)

    world.replay("A")

    assert [each.attempt for each in world.entries.open.values()] == [2]


def test_the_same_messages_delivered_twice_change_nothing(world: World) -> None:
    for number, name in (("A", "good"), ("B", "bad"), ("A", "better")):
        world.change(number, name)
    world.deliver(10)
    before = (world.rows(), set(world.entries.seen))
    world.committed = 0

    world.deliver(10)

    assert (world.rows(), set(world.entries.seen)) == before


@pytest.mark.parametrize("step", range(8))
def test_killed_while_a_change_fails_and_repaired_before_it_comes_again(world: World, step: int) -> None:
    world.change("A", "bad")
    world.deliver(1, killed_after=step)
    if world.committed:
        return  # it was done before it would have been killed
    world.allow_everything()

    world.settle_everything()

    assert (world.rows(), world.entries.open) == ({"A": "bad"}, {})


@pytest.mark.parametrize("step", range(8))
def test_killed_while_a_failure_is_resolved_by_a_later_change(world: World, step: int) -> None:
    world.change("A", "bad")
    world.deliver(1)
    world.change("A", "later")
    world.deliver(1, killed_after=step)
    world.settle_everything()

    if world.mapping.order == "latest":
        assert (world.rows(), world.entries.open) == ({"A": "later"}, {})
    else:
        assert (world.rows(), list(world.entries.open)) == ({}, ["A"])


@pytest.mark.parametrize("step", range(12))
def test_killed_while_a_replay_and_what_follows_it_are_written(world: World, step: int) -> None:
    for name in ("bad", "bad too", "third"):
        world.change("A", name)
    if world.mapping.order == "strict":
        world.deliver(3)
    else:
        world.deliver(1)
    world.allow_everything()

    world.replay("A", killed_after=step)

    assert world.entries.open == {}
    world.settle_everything()
    assert world.rows() == {"A": "third"}
    assert world.state.parked_count("customers") == 0


CHANGE = st.tuples(st.just("change"), st.sampled_from("ABC"), st.sampled_from(["good", "bad"]))
DELIVER = st.tuples(st.just("deliver"), st.integers(1, 4), st.none() | st.integers(0, 8))
REPLAY = st.tuples(st.just("replay"), st.sampled_from("ABC"), st.none() | st.integers(0, 8))
ALLOW = st.tuples(st.just("allow"), st.none(), st.none())


@pytest.mark.parametrize("order", ["latest", "strict"])
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(acts=st.lists(st.one_of(CHANGE, CHANGE, DELIVER, DELIVER, REPLAY, ALLOW), max_size=25))
def test_whenever_it_is_killed_target_and_entries_end_true(
    order: Literal["latest", "strict"], acts: list[tuple[Any, Any, Any]]
) -> None:
    with TemporaryDirectory() as folder:
        world = World(Path(folder), order)
        for number, (act, first, second) in enumerate(acts):
            match act:
                case "change":
                    world.change(first, f"{second}{number}")
                case "deliver":
                    world.deliver(first, second)
                case "replay":
                    world.replay(first, Decision.RETRY, second)
                case _:
                    world.allow_everything()
        world.settle_everything()

        wrong = {record for record, name in world.expected().items() if world.rows().get(record) != name}
        assert wrong <= set(world.entries.open), "a record is wrong and no entry says so"
        if order == "latest":
            assert wrong == set(world.entries.open), "an entry is open and its record is right"

        world.allow_everything()
        for record in sorted(world.entries.open):
            world.replay(record)
        assert world.rows() == world.expected()
        assert world.entries.open == {}
        assert world.state.parked_count("customers") == 0
        world.close()
