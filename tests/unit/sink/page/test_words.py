from hypothesis import given
from hypothesis import strategies as st

from sink.web.page import words

SECOND = 1_000_000


def test_thousands_stand_apart() -> None:
    assert words.number(41207) == "41,207"


def test_one_thing_is_singular() -> None:
    assert [words.entries(number) for number in (0, 1, 2)] == ["0 entries", "1 entry", "2 entries"]


def test_a_moment_is_told_in_its_largest_unit() -> None:
    now = 10_000_000 * SECOND
    told = [words.ago(now - seconds * SECOND, now) for seconds in (0, 3, 90, 7200, 3 * 86400, -300)]
    assert told == ["now", "3 s ago", "1 min ago", "2 h ago", "3 d ago", "in 5 min"]


def test_the_mapping_of_an_app_failure_is_the_whole_app() -> None:
    assert words.mapping("*") == "whole app"


@given(st.integers(0, 4 * 10**15), st.integers(0, 4 * 10**15))
def test_every_moment_can_be_told(moment: int, now: int) -> None:
    assert len(words.ago(moment, now)) < 20
