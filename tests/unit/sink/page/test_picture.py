import re

from hypothesis import given
from hypothesis import strategies as st

from sink.web.page.picture import add_up, bars

_BAR = re.compile(r"M(\d+) (\d+)v-([\d.]+)h(\d+)v([\d.]+)z")


def _drawn(path: str) -> list[tuple[int, int, float, int]]:
    """Return left edge, ground, height and width of each bar; the path has nothing but whole bars."""
    found = [
        (int(left), int(ground), float(up), int(width)) for left, ground, up, width, _ in _BAR.findall(path)
    ]
    assert _BAR.sub("", path) == ""
    return found


def test_the_highest_bar_is_as_high_as_the_picture() -> None:
    assert [height for _, _, height, _ in _drawn(bars([1, 4, 2], height=20).loud)] == [5, 20, 10]


def test_nothing_is_a_thin_quiet_line() -> None:
    drawn = bars([0, 0])
    assert [height for _, _, height, _ in _drawn(drawn.quiet)] == [1, 1]
    assert drawn.loud == ""


def test_one_among_many_can_be_told_from_none() -> None:
    drawn = bars([1, 1_000_000, 0])
    (small, _), (none,) = _drawn(drawn.loud), _drawn(drawn.quiet)
    assert small[2] > none[2]


@given(st.lists(st.integers(0, 10**9), max_size=200), st.integers(1, 60))
def test_adding_up_loses_nothing_and_fits(values: list[int], parts: int) -> None:
    added = add_up(values, parts)
    assert sum(added) == sum(values)
    assert len(added) <= parts


@given(st.lists(st.integers(0, 10**9), max_size=100))
def test_no_bar_leaves_the_picture(values: list[int]) -> None:
    drawn = bars(values, height=30)
    found = _drawn(drawn.quiet) + _drawn(drawn.loud)
    assert len(found) == len(values)
    assert all(ground == 30 and 0 < height <= 30 for _, ground, height, _ in found)
    assert all(left + width <= drawn.width for left, _, _, width in found)
