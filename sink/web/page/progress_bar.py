"""How far a replay job is, as one bar of several parts. Pure."""

from dataclasses import dataclass

from sink.jobs import Counts

WIDTH = 1000
_LEAST = 6.0


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the bar, in units of WIDTH; `kind` is one of the names that Counts has, or `waiting`."""

    kind: str
    number: int
    x: float
    width: float


def parts(counts: Counts, waiting: int) -> tuple[Part, ...]:
    """Return the bar's parts from the left, none of them empty; what is small stays visible."""
    numbers = {
        "resolved": counts.resolved,
        "failed_again": counts.failed_again,
        "unconfirmed": counts.unconfirmed,
        "refused": counts.refused + counts.not_sent,
        "sent": counts.sent,
        "waiting": waiting,
    }
    there = {kind: number for kind, number in numbers.items() if number > 0}
    total = sum(there.values())
    raw = {kind: max(_LEAST, WIDTH * number / total) for kind, number in there.items()}
    scale = WIDTH / sum(raw.values()) if raw else 1.0
    drawn = []
    x = 0.0
    for kind, number in there.items():
        width = raw[kind] * scale
        drawn.append(Part(kind, number, round(x, 1), round(width, 1)))
        x += width
    return tuple(drawn)
