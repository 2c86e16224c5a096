"""What a replay job does, decided without a store."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sink.jobs import (
    IN_FLIGHT_AT_MOST,
    STEPS,
    Canaries,
    Go,
    JobState,
    JobStep,
    Pace,
    Rest,
    Stop,
    count_verdicts,
    judge,
    next_step,
    paced,
    spent,
    why_not,
)
from sink.states import Verdict

NO_CANARIES = Canaries(0, 0, 0)
SECOND_US = 1_000_000

counted = st.integers(min_value=0, max_value=2000)


@st.composite
def canaries(draw: st.DrawFn) -> Canaries:
    """Some canaries, with verdicts for some of them."""
    asked = draw(st.integers(min_value=0, max_value=100))
    good = draw(st.integers(min_value=0, max_value=asked))
    return Canaries(asked, good, draw(st.integers(min_value=0, max_value=asked - good)))


def test_a_job_begins_with_its_canaries() -> None:
    assert next_step(1000, 0, 10, NO_CANARIES, 500) == Go(10)


def test_a_job_waits_for_its_canaries() -> None:
    assert next_step(990, 10, 10, Canaries(10, 5, 4), 500) == Rest()


def test_a_job_goes_on_when_more_than_half_of_its_canaries_did_well() -> None:
    assert next_step(990, 4, 10, Canaries(10, 6, 0), 500) == Go(500)


def test_a_job_stops_itself_when_half_of_its_canaries_failed() -> None:
    assert next_step(990, 0, 10, Canaries(10, 5, 5), 500) == Stop("5 of the first 10 entries failed")


def test_a_job_whose_entries_are_all_asked_for_only_waits() -> None:
    assert next_step(0, 5, 10, Canaries(5, 0, 5), 500) == Rest()


@given(counted, counted, st.integers(min_value=0, max_value=50), canaries(), counted)
def test_a_job_never_asks_for_more_than_it_may(
    left: int, in_flight: int, wanted: int, first: Canaries, allowed: int
) -> None:
    step = next_step(left, in_flight, wanted, first, allowed)
    if isinstance(step, Go):
        assert 0 < step.at_most <= min(left, allowed, IN_FLIGHT_AT_MOST - in_flight)
        assert not wanted or first.asked + step.at_most <= wanted or 2 * first.good > wanted


@given(counted.filter(bool), st.integers(min_value=1, max_value=50), canaries(), counted)
def test_a_job_with_half_of_its_canaries_lost_never_goes_on(
    left: int, wanted: int, first: Canaries, allowed: int
) -> None:
    step = next_step(left, 0, wanted, first, allowed)
    assert isinstance(step, Stop) is (2 * first.bad >= wanted)


def test_no_more_are_asked_for_than_a_worker_can_answer() -> None:
    assert next_step(50_000, IN_FLIGHT_AT_MOST, 0, NO_CANARIES, 500) == Rest()


@given(
    st.integers(min_value=1, max_value=10_000),
    st.lists(st.integers(min_value=0, max_value=3 * SECOND_US), min_size=1, max_size=50),
)
def test_a_rate_is_kept_over_any_time(rate_per_s: int, pauses_us: Sequence[int]) -> None:
    pace: Pace | None = None
    now_us = gone = 0
    for pause_us in pauses_us:
        now_us += pause_us
        pace = paced(pace, rate_per_s, 500, now_us)
        number = int(pace.allowed)
        pace = spent(pace, number)
        gone += number
    assert gone <= 1 + rate_per_s * sum(pauses_us[1:]) / SECOND_US + 1e-6


def test_a_rate_is_reached_in_small_steps() -> None:
    pace: Pace | None = None
    gone = 0
    for step in range(51):
        pace = paced(pace, 50, 500, step * SECOND_US // 5)
        gone += int(pace.allowed)
        pace = spent(pace, int(pace.allowed))
    assert gone in range(500, 502)


def test_without_a_rate_a_whole_portion_goes_each_time() -> None:
    assert paced(Pace(0, 1), None, 500, 1).allowed == 500


def test_a_clock_that_goes_back_gives_nothing() -> None:
    assert paced(Pace(0.0, 5 * SECOND_US), 50, 500, SECOND_US).allowed == 0


def test_verdicts_are_counted_by_what_they_mean() -> None:
    counts = count_verdicts(
        {
            None: 1,
            Verdict.RESOLVED: 2,
            Verdict.SUPERSEDED: 3,
            Verdict.FAILED_AGAIN: 4,
            Verdict.UNCONFIRMED: 5,
        },
        6,
    )
    assert (counts.sent, counts.resolved, counts.failed_again) == (1, 5, 4)
    assert (counts.unconfirmed, counts.refused, counts.asked) == (5, 6, 15)


@given(st.dictionaries(st.sampled_from([None, *Verdict]), st.integers(min_value=0, max_value=99)))
def test_every_canary_did_well_or_badly_or_has_no_verdict(verdicts: dict[Verdict | None, int]) -> None:
    first = judge(verdicts)
    assert first.good + first.bad + verdicts.get(None, 0) == first.asked == sum(verdicts.values())


def test_a_canary_that_was_given_up_did_badly() -> None:
    assert judge({Verdict.DROPPED: 1, Verdict.UNCONFIRMED: 1, Verdict.SUPERSEDED: 1}) == Canaries(3, 1, 2)


@pytest.mark.parametrize("step", JobStep)
@pytest.mark.parametrize("state", JobState)
def test_a_step_is_allowed_or_refused_in_words(step: JobStep, state: JobState) -> None:
    allowed, _ = STEPS[step]
    assert (why_not(step, state) is None) is (state in allowed)


def test_what_is_over_stays_over() -> None:
    for allowed, _ in STEPS.values():
        assert not allowed & {JobState.DONE, JobState.CANCELLED}
