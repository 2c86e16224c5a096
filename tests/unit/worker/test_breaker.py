"""When too much of the work fails of itself."""

from hypothesis import given
from hypothesis import strategies as st

from worker.breaker import MAX_PROBE_S, MIN_VOLUME, WINDOW_S, Breaker, probe_delay_s


def test_a_few_failures_open_nothing() -> None:
    assert not Breaker().record(0, MIN_VOLUME - 1, MIN_VOLUME - 1).is_open


def test_half_of_enough_changes_open_it() -> None:
    assert Breaker().record(0, 100, 50).is_open
    assert not Breaker().record(0, 100, 49).is_open


def test_what_is_over_a_minute_old_is_forgotten() -> None:
    breaker = Breaker().record(0, 1000, 1000).record(WINDOW_S + 1, 100, 0)

    assert not breaker.is_open


@given(st.integers(1, 1000), st.floats(0, 1))
def test_probes_come_later_and_later_up_to_a_bound(attempt: int, jitter: float) -> None:
    assert 0.75 <= probe_delay_s(attempt, jitter) <= MAX_PROBE_S
    assert probe_delay_s(attempt, 0) <= probe_delay_s(attempt + 1, 0)
