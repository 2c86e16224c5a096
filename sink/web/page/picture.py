"""Small pictures of numbers over time. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

_GAP = 1
_BAR = 3
_LEAST = 1.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, from the left and from the top; `loud`: there is something."""

    x: int
    y: float
    width: int
    height: float
    loud: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """Bars side by side, in units of a drawing of `width` by `height`."""

    width: int
    height: int
    bars: tuple[Bar, ...]


def bars(values: Sequence[int], height: int = 28) -> Picture:
    """Return a picture with a bar for each value, the highest as high as the picture; nothing is a thin line."""
    most = max(values, default=0)
    drawn = tuple(_bar(index, value, most, height) for index, value in enumerate(values))
    return Picture(max(1, len(values) * (_BAR + _GAP) - _GAP), height, drawn)


def add_up(values: Sequence[int], parts: int) -> list[int]:
    """Return sums of neighbours, at most `parts` of them, so that a picture has room."""
    size = max(1, -(-len(values) // parts))
    return [sum(values[start : start + size]) for start in range(0, len(values), size)]


def _bar(index: int, value: int, most: int, height: int) -> Bar:
    # what is not nothing can be told from nothing
    high = _LEAST if value <= 0 else max(2 * _LEAST, round(height * value / most, 2))
    return Bar(index * (_BAR + _GAP), round(height - high, 2), _BAR, high, value > 0)
