"""Step 4: what to do with a change, given the open failure of its record. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Literal

from schemas.events import Decision
from worker.translate import Broken, Candidate


@dataclass(frozen=True, slots=True)
class OpenFailure:
    """The latest failure of a record that has not been resolved; the state store keeps one a record and mapping."""

    mapping: str
    record_id: str
    failure_id: str
    code: str
    topic: str
    partition: int
    offset: int
    attempt: int
    first_failed_at: datetime


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
    writes. The failed change itself, replayed or delivered again, is tried again. With `strict`, later changes wait behind it.
    """
    replay = change.replay
    if failure is None:
        return Verdict.SUPERSEDED if replay is not None else Verdict.PARK if parked else Verdict.WRITE
    message = change.message
    comparable = (message.topic, message.partition) == (failure.topic, failure.partition)
    if comparable and message.offset < failure.offset:
        return Verdict.SUPERSEDED
    if replay is None:
        same = comparable and message.offset == failure.offset
        return Verdict.WRITE if same or order == "latest" else Verdict.PARK
    if not comparable and replay.failure_id != failure.failure_id:
        return Verdict.SUPERSEDED
    return Verdict.DROP if replay.decision is Decision.DROP else Verdict.WRITE
