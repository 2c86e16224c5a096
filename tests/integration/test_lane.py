"""A lane keeps each record's order, lets go when it is told to, and goes by what its target has now."""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
from sqlalchemy.exc import OperationalError

from schemas.events import Decision, Event, OriginalRecord, SyncFailed, SyncResolved
from tests.integration.lanes import Laned, a_message, laned
from tests.unit.worker.build import TOPIC, a_request
from worker.batch import Batch
from worker.lane_runner import LaneRunner, LaneThread
from worker.message import StoredMessage
from worker.state.store import StateStore

Order = Literal["latest", "strict"]

UNIQUE = "create table account (number text primary key, name text, email text unique)"


@pytest.mark.parametrize("order", ["latest", "strict"])
def test_a_change_that_waits_for_another_record_is_not_written_over_a_newer_one(
    tmp_path: Path, order: Order
) -> None:
    with laned(tmp_path, order, UNIQUE, "insert into account values ('B', 'b', 'x@x')") as it:
        it.work(
            it.part(
                a_message(0, {"number": "B", "name": "b2", "email": "x@x"}),
                a_message(1, {"number": "A", "name": "a1", "email": "x@x"}),
                a_message(2, {"number": "B", "name": "b3", "email": "z@z"}),
                a_message(3, {"number": "A", "name": "a2", "email": "y@y"}),
            )
        )

        assert it.rows() == [("A", "a2", "y@y"), ("B", "b3", "z@z")]
        assert it.events == []


def test_a_lane_that_was_told_to_let_go_while_it_reports_writes_no_more(tmp_path: Path) -> None:
    with laned(tmp_path, "strict") as it:
        reporting, acknowledged = threading.Event(), threading.Event()

        def report(_events: Sequence[Event]) -> None:
            reporting.set()
            assert acknowledged.wait(20)

        it.lane.world = replace(it.lane.world, report=report)
        part = it.part(
            StoredMessage(TOPIC, 0, 0, 0, None, b"no JSON"),
            a_message(1, {"number": "C1", "name": "first", "credit": 1}),
            a_message(2, {"number": "C1", "name": "second", "credit": 2}),
        )
        thread = LaneThread()
        it.lane.ready = True
        runner = LaneRunner(it.lane, lambda some: Batch(some, [part], {}), frozenset({TOPIC}), thread)
        runner.take(part.messages)
        runner.decode_polled()
        runner.start_next()
        assert reporting.wait(20)
        working = runner.running
        assert working is not None

        assert runner.let_go(0) is None
        it.execute("update account set name = 'a newer one'")
        acknowledged.set()

        assert working.result(20) is None
        assert it.rows() == [("C1", "a newer one", 1)]
        thread.end()


def failed_at_first(it: Laned) -> tuple[str, OriginalRecord]:
    """Have a name fail that is too long; returns the failure's id and the message, as a replay names them."""
    message = a_message(0, {"number": "C1", "name": "much too long a name", "credit": 1})
    it.work(it.part(message))
    (failed,) = it.events
    assert isinstance(failed, SyncFailed)
    return failed.failure_id, OriginalRecord(message.key, message.value)


def test_a_correction_is_written_after_the_target_was_altered(tmp_path: Path) -> None:
    with laned(tmp_path, "latest") as it:
        failure, original = failed_at_first(it)
        request = a_request(0, failure=failure, original=original, corrections={"name": '"short"'})
        replays = it.translator.replays(it.mapping, [request], lambda _: None)
        it.lane.plans["customers"] = replace(it.mapping, row_plans={})

        it.work(replays)

        assert it.rows() == [("C1", "short", 1)]


def test_a_replay_ends_though_the_number_of_parked_changes_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_self: StateStore, _mapping: str) -> int:
        raise OperationalError("select", None, ConnectionError())

    with laned(tmp_path, "strict") as it:
        it.work(it.part(a_message(0, {"number": "C1", "name": "much too long a name", "credit": 1})))
        it.work(it.part(a_message(1, {"number": "C1", "name": "short", "credit": 2})))
        (failed,) = it.events
        assert isinstance(failed, SyncFailed)
        drop = a_request(0, failure=failed.failure_id, decision=Decision.DROP)
        monkeypatch.setattr(StateStore, "parked_count", away)

        it.work(it.translator.replays(it.mapping, [drop], lambda _: None))

        assert it.rows() == [("C1", "short", 2)]
        assert isinstance(it.events[-1], SyncResolved)


def test_how_many_changes_are_parked_is_told(tmp_path: Path) -> None:
    with laned(tmp_path, "strict") as it:
        it.work(it.part(a_message(0, {"number": "C1", "name": "much too long a name", "credit": 1})))
        it.work(it.part(a_message(1, {"number": "C1", "name": "short", "credit": 2})))

        assert it.lane.world.metrics.parked.labels("customers")._value.get() == 1


def test_a_change_that_fails_counts_once_however_often_its_replays_fail_again(tmp_path: Path) -> None:
    with laned(tmp_path, "latest") as it:
        failure, original = failed_at_first(it)
        request = a_request(0, failure=failure, original=original)

        it.work(it.translator.replays(it.mapping, [request], lambda _: None))

        again = it.events[-1]
        assert isinstance(again, SyncFailed)
        assert again.attempt == 2
        metrics = it.lane.world.metrics
        assert metrics.failures.labels("customers", "data", "too_long")._value.get() == 1
        assert metrics.changes.labels("customers", "forward", "failed")._value.get() == 1
        assert it.lane.world.tally.of("customers")["failed"] == 1


def test_since_when_changes_are_being_settled_is_told_until_they_are(tmp_path: Path) -> None:
    with laned(tmp_path, "latest") as it:
        since = it.lane.world.metrics.settling_since.labels("customers")._value
        while_reporting: list[float] = []
        it.lane.world = replace(it.lane.world, report=lambda _: while_reporting.append(since.get()))
        started_s = time.time()

        it.work(it.part(a_message(0, {"number": "C1", "name": "much too long a name", "credit": 1})))

        assert started_s <= while_reporting[0] <= time.time()
        assert since.get() == 0
