"""Small pictures of numbers over time. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

_GAP = 1
_BAR = 3
_LEAST = 1.0


@dataclass(frozen=True, slots=True)
class Picture:
    """Bars side by side, in units of a drawing of `width` by `height`.

    They are two paths of an SVG, as a list has hundreds of them: `quiet` ones where there is nothing, `loud` ones where there is.
    """

    width: int
    height: int
    quiet: str
    loud: str


def bars(values: Sequence[int], height: int = 28) -> Picture:
    """Return a picture with a bar for each value, the highest as high as the picture; nothing is a thin line."""
    most = max(values, default=0)
    quiet = "".join(_bar(index, _LEAST, height) for index, value in enumerate(values) if value <= 0)
    loud = "".join(
        # what is not nothing can be told from nothing
        _bar(index, max(2 * _LEAST, round(height * value / most, 1)), height)
        for index, value in enumerate(values)
        if value > 0
    )
    return Picture(max(1, len(values) * (_BAR + _GAP) - _GAP), height, quiet, loud)


def add_up(values: Sequence[int], parts: int) -> list[int]:
    """Return sums of neighbours, at most `parts` of them, so that a picture has room."""
    size = max(1, -(-len(values) // parts))
    return [sum(values[start : start + size]) for start in range(0, len(values), size)]


# a page has a thousand of them, and few are unlike all others
@lru_cache(maxsize=4096)
def _bar(index: int, high: float, height: int) -> str:
    """Draw a bar that stands on the ground: up, to the right, down, and back."""
    return f"M{index * (_BAR + _GAP)} {height}v-{high:g}h{_BAR}v{high:g}z"
