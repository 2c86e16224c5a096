"""What stands before what in a source topic, and where nobody can tell."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.events import Position

HOUR_MS = 3_600_000


def at(offset: int, ms: int = 0, topic: str = "erp.customers", partition: int = 0) -> Position:
    return Position(topic, partition, offset, ms)


def test_offsets_of_one_partition_tell() -> None:
    assert at(1).against(at(3)) == -2
    assert at(3).against(at(1)) == 2
    assert at(3).against(at(3)) == 0


def test_different_partitions_and_topics_cannot_be_compared() -> None:
    assert at(1).against(at(3, partition=1)) is None
    assert at(1).against(at(3, topic="erp.orders")) is None


def test_a_lower_offset_of_a_much_later_time_is_of_a_topic_made_anew() -> None:
    assert at(1, 2 * HOUR_MS).against(at(3, HOUR_MS)) is None
    assert at(3, HOUR_MS).against(at(1, 2 * HOUR_MS)) is None
    assert at(3, HOUR_MS).against(at(3, 2 * HOUR_MS)) is None


@given(st.integers(0, 100), st.integers(0, 100), st.integers(-600_000, 600_000))
def test_clocks_that_differ_by_minutes_change_nothing(one: int, other: int, later_ms: int) -> None:
    assert at(one, HOUR_MS + later_ms).against(at(other, HOUR_MS)) == one - other


@given(*[st.builds(at, st.integers(0, 5), st.integers(0, 3 * HOUR_MS))] * 2)
def test_both_see_it_alike(one: Position, other: Position) -> None:
    found, back = one.against(other), other.against(one)
    assert (found is None) == (back is None)
    assert (found or 0) == -(back or 0)
