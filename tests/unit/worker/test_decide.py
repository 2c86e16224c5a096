"""What to do with a change, given the open failure of its record."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Decision
from tests.unit.worker.build import TOPIC, a_message, a_request
from worker.decide import OpenFailure, Verdict, decide
from worker.translate import Candidate


def a_candidate(offset: int, *, partition: int = 0, replay: object = None) -> Candidate:
    """Return a change at an offset, replayed if asked for."""
    request = a_request(offset, **replay) if isinstance(replay, dict) else None
    return Candidate(
        ("C1",), False, ("C1",), ("number",), ("C1",), a_message(offset, partition=partition), request
    )


def a_failure(offset: int, *, failure_id: str = "failure") -> OpenFailure:
    """Return the open failure of the change at an offset."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return OpenFailure("customers", "C1", failure_id, "too_long", TOPIC, 0, offset, 1, now)


def test_without_a_failure_a_change_is_written() -> None:
    assert decide(a_candidate(1), None, "strict") is Verdict.WRITE


def test_without_a_failure_a_replay_came_too_late() -> None:
    assert decide(a_candidate(1, replay={}), None, "latest") is Verdict.SUPERSEDED


def test_a_later_change_is_tried_with_latest_and_waits_with_strict() -> None:
    assert decide(a_candidate(2), a_failure(1), "latest") is Verdict.WRITE
    assert decide(a_candidate(2), a_failure(1), "strict") is Verdict.PARK


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
