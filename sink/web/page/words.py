"""Numbers and times in the words of the page. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

from schemas.events import ALL_MAPPINGS
from sink.console.inert import inert
from sink.states import State

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))

STATES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        State.OPEN: ("open", "somebody has to look at it"),
        State.WAITING: ("heals itself", "it is tried again by itself"),
        State.REPLAYING: ("replaying", "sent to a worker, whose answer is awaited"),
        State.UNCONFIRMED: ("unconfirmed", "sent to a worker, which did not answer in time"),
        State.RESOLVED: ("resolved", "over"),
        State.DISCARDED: ("discarded", "given up"),
    }
)
"""What a state is called, and what it means."""

ENDED: Mapping[str, str] = MappingProxyType(
    {
        "replay": "by a replay",
        "superseded": "by a newer change of the record",
        "released": "by itself, when tried again",
        "hand": "by hand",
    }
)
"""What ended a resolved entry."""


def mapping(name: str) -> str:
    """Return what a mapping is called; what concerns an app stands in none."""
    return "whole app" if name == ALL_MAPPINGS else inert(name)


def number(value: float) -> str:
    """Return a number with its thousands apart."""
    return f"{value:,}"


def count(value: int, singular: str, plural: str | None = None) -> str:
    """Return a number with its noun: `1 entry`, `9 entries`."""
    return f"{number(value)} {singular if value == 1 else plural or singular + 's'}"


def entries(value: int) -> str:
    """Return how many entries, in words."""
    return count(value, "entry", "entries")


def span(seconds: float) -> str:
    """Return a length of time in its largest unit, rounded down: `3 h`."""
    whole = int(seconds)
    for size, unit in _UNITS:
        if whole >= size:
            return f"{whole // size} {unit}"
    return "0 s"


def length(seconds: float) -> str:
    """Return a length of time in words, in its largest unit: `7 days`."""
    whole = int(seconds)
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if whole >= size:
            return count(whole // size, unit)
    return count(whole, "second")


def ago(us: int, now_us: int) -> str:
    """Return when a moment was or will be, seen from now: `3 h ago`, `now`, `in 5 min`."""
    seconds = (now_us - us) / 1_000_000
    if abs(seconds) < 1:
        return "now"
    return f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"
