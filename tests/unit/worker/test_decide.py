"""What to do with a change, given the open failure of its record."""

from datetime import UTC, datetime
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Decision
from tests.unit.worker.build import TOPIC, a_message, a_request
from worker.decide import OpenFailure, Verdict, decide
from worker.fault import Fault
from worker.translate import Broken, Candidate


def a_candidate(
    offset: int, *, partition: int = 0, replay: object = None, lacks: frozenset[str] = frozenset()
) -> Candidate:
    """Return a change at an offset, replayed if asked for; the source left some columns out of it."""
    request = a_request(offset, **replay) if isinstance(replay, dict) else None
    message = a_message(offset, partition=partition)
    return Candidate(("C1",), False, ("C1",), ("number",), ("C1",), message, request, lacks)


def a_failure(
    offset: int, *, failure_id: str = "failure", carries: frozenset[str] = frozenset(), earlier_ms: int = 0
) -> OpenFailure:
    """Return the open failure of the change at an offset."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    at_ms = a_message(offset).timestamp - earlier_ms
    return OpenFailure("customers", "C1", failure_id, "too_long", TOPIC, 0, offset, 1, now, at_ms, carries)


def test_without_a_failure_a_change_is_written() -> None:
    assert decide(a_candidate(1), None, "strict") is Verdict.WRITE


def test_without_a_failure_a_replay_came_too_late() -> None:
    assert decide(a_candidate(1, replay={}), None, "latest") is Verdict.SUPERSEDED


def test_a_later_change_is_tried_with_latest_and_waits_with_strict() -> None:
    assert decide(a_candidate(2), a_failure(1), "latest") is Verdict.WRITE
    assert decide(a_candidate(2), a_failure(1), "strict") is Verdict.PARK


def test_with_latest_a_change_waits_where_the_source_left_out_what_the_failed_one_carries() -> None:
    failure, name = a_failure(1, carries=frozenset({"number", "name"})), frozenset({"name"})

    assert decide(a_candidate(2, lacks=name), failure, "latest") is Verdict.PARK
    assert decide(a_candidate(2, lacks=name), a_failure(1), "latest") is Verdict.WRITE


@pytest.mark.parametrize(("order", "verdict"), [("latest", Verdict.WRITE), ("strict", Verdict.PARK)])
def test_a_change_of_a_topic_that_was_made_anew_is_later_though_its_offset_is_lower(
    order: Literal["latest", "strict"], verdict: Verdict
) -> None:
    assert decide(a_candidate(1), a_failure(1000, earlier_ms=3_600_000), order) is verdict


def test_a_replay_from_before_a_topic_was_made_anew_came_too_late() -> None:
    failure = a_failure(1, failure_id="next", earlier_ms=-3_600_000)

    assert decide(a_candidate(1000, replay={}), failure, "latest") is Verdict.SUPERSEDED


def test_the_failed_change_delivered_again_is_tried_again() -> None:
    assert decide(a_candidate(1), a_failure(1), "strict") is Verdict.WRITE


def test_a_change_behind_parked_ones_waits_too() -> None:
    assert decide(a_candidate(3), None, "strict", parked=True) is Verdict.PARK


def test_a_replay_of_the_latest_failure_is_written_even_if_its_attempt_was_counted_up() -> None:
    assert decide(a_candidate(1, replay={}), a_failure(1, failure_id="next"), "strict") is Verdict.WRITE


def test_a_replay_of_an_older_failure_came_too_late() -> None:
    assert decide(a_candidate(1, replay={}), a_failure(2, failure_id="next"), "latest") is Verdict.SUPERSEDED


def test_giving_up_drops_only_the_latest_failure() -> None:
    drop = {"decision": Decision.DROP}

    assert decide(a_candidate(1, replay=drop), a_failure(1), "strict") is Verdict.DROP
    assert decide(a_candidate(1, replay=drop), a_failure(2), "strict") is Verdict.SUPERSEDED


@pytest.mark.parametrize("order", ["latest", "strict"])
@given(offset=st.integers(0, 50), failed=st.integers(0, 50), replay=st.booleans())
def test_nothing_older_than_the_latest_failure_is_ever_written(
    order: str, offset: int, failed: int, *, replay: bool
) -> None:
    candidate = a_candidate(offset, replay={} if replay else None)

    verdict = decide(candidate, a_failure(failed), order)  # type: ignore[arg-type]  # a parametrized literal

    if offset < failed:
        assert verdict is Verdict.SUPERSEDED


@pytest.mark.parametrize("order", ["latest", "strict"])
def test_clocks_that_differ_a_little_make_no_older_change_a_later_one(
    order: Literal["latest", "strict"],
) -> None:
    assert decide(a_candidate(1), a_failure(3, earlier_ms=5_000), order) is Verdict.SUPERSEDED


def test_what_cannot_be_read_waits_behind_parked_changes() -> None:
    unreadable = Broken(("C1",), a_message(2), Fault("undecodable"))

    assert decide(unreadable, a_failure(1), "latest", parked=True) is Verdict.PARK
    assert decide(unreadable, a_failure(1), "latest") is Verdict.WRITE
