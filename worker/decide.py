"""Step 4: what to do with a change, given the open failure of its record. Pure."""

from datetime import datetime
from enum import Enum
from typing import Literal, NamedTuple

from schemas.events import Decision, Position, ReplayRequest
from worker.message import position_of
from worker.translate import Broken, Candidate


class OpenFailure(NamedTuple):
    """The latest failure of a record that has not been resolved; the state store keeps one a record and mapping.

    `timestamp_ms` is the failed message's. `carries` are the target's columns that the failed change brings, or one before it
    or parked behind it that is not in the target either. A named tuple, as one is made for each replay.
    """

    mapping: str
    record_id: str
    failure_id: str
    code: str
    topic: str
    partition: int
    offset: int
    attempt: int
    first_failed_at: datetime
    timestamp_ms: int
    carries: frozenset[str] = frozenset()

    @property
    def position(self) -> Position:
        """Where the failed change stands."""
        return Position(self.topic, self.partition, self.offset, self.timestamp_ms)


class Verdict(Enum):
    """What is to be done with a change."""

    WRITE = "write"
    SUPERSEDED = "superseded"
    PARK = "park"
    DROP = "drop"


def decide(
    change: Candidate | Broken,
    failure: OpenFailure | None,
    order: Literal["latest", "strict"],
    *,
    parked: bool = False,
) -> Verdict:
    """Return the verdict on one change; `parked` when others of its record are still waiting, which come first.

    A change older than the record's latest failure was overtaken by it, and so was a replay whose failure is gone: neither
    writes. The failed change itself, replayed or delivered again, is tried again. Later changes wait behind it with
    `strict`, and with `latest` where the source left out of them what it carries; else they take its place.
    """
    replay = change.replay
    if failure is None:
        return Verdict.SUPERSEDED if replay is not None else Verdict.PARK if parked else Verdict.WRITE
    behind = position_of(change.message).against(failure.position)
    if behind is not None and behind < 0:
        return Verdict.SUPERSEDED
    if replay is None:
        replaces = order == "latest" and failure.carries.isdisjoint(change.lacks)
        # of what cannot be read nobody knows whether it brings what is parked
        brings_all = isinstance(change, Candidate) or change.carries or not parked
        return Verdict.WRITE if behind == 0 or (replaces and brings_all) else Verdict.PARK
    if behind is None and replay.failure_id != failure.failure_id:
        return Verdict.SUPERSEDED
    return verdict_of(replay)


def verdict_of(replay: ReplayRequest) -> Verdict:
    """Return the verdict on a replay of its record's latest failure."""
    return Verdict.DROP if replay.decision is Decision.DROP else Verdict.WRITE
