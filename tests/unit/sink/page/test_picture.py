from hypothesis import given
from hypothesis import strategies as st

from sink.web.page.picture import add_up, bars


def test_the_highest_bar_is_as_high_as_the_picture() -> None:
    drawn = bars([1, 4, 2], height=20)
    assert [bar.height for bar in drawn.bars] == [5, 20, 10]


def test_nothing_is_a_thin_quiet_line() -> None:
    assert [(bar.height, bar.loud) for bar in bars([0, 0]).bars] == [(1.0, False), (1.0, False)]


def test_one_among_many_can_be_told_from_none() -> None:
    small, _, none = bars([1, 1_000_000, 0]).bars
    assert small.height > none.height
    assert small.loud


@given(st.lists(st.integers(0, 10**9), max_size=200), st.integers(1, 60))
def test_adding_up_loses_nothing_and_fits(values: list[int], parts: int) -> None:
    added = add_up(values, parts)
    assert sum(added) == sum(values)
    assert len(added) <= parts


@given(st.lists(st.integers(0, 10**9), max_size=100))
def test_no_bar_leaves_the_picture(values: list[int]) -> None:
    drawn = bars(values, height=30)
    assert all(bar.y >= 0 and bar.y + bar.height <= 30.01 for bar in drawn.bars)
    assert all(bar.x + bar.width <= drawn.width for bar in drawn.bars)
