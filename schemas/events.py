"""The events on Instep's own topics."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from json.encoder import encode_basestring
from typing import NamedTuple

_FAILURES = uuid.UUID("6f1c1b52-3f0e-5a1b-9f35-0d2f6a7c9e11")

ALL_MAPPINGS = "*"
FAILURE_HEADER = "instep-failure"
# on what answers a replay: the sink reads such an event even in a flood of others
REPLAY_HEADER = "instep-replay"

# the clocks of two producers at most
_CLOCKS_DIFFER_BY_MS = 600_000

Headers = tuple[tuple[str, bytes | None], ...]


class Outcome(StrEnum):
    """What became of one change."""

    INSERTED = "inserted"
    MODIFIED = "modified"
    DELETED = "deleted"
    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"
    SKIPPED = "skipped"
    FAILED = "failed"


class Decision(StrEnum):
    """What a replay asks of the worker: try again, or give the failed change up."""

    RETRY = "retry"
    DROP = "drop"


class Resolution(StrEnum):
    """How a failure ended, as the worker saw it; `released` is a retry by the sink's own schedule."""

    REPLAY = "replay"
    SUPERSEDED = "superseded"
    RELEASED = "released"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class RecordReference:
    """One record in one app; `link` opens it there."""

    app: str
    entity: str
    record_id: str
    link: str | None = None


class Position(NamedTuple):
    """Where a change stands in its source topic; `timestamp_ms` is the message's, of the broker or of its producer.

    A named tuple, as several are made for each replay.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int

    def against(self, other: "Position") -> int | None:
        """Return less than 0 where this stands before the other, 0 at the same place, more than 0 behind it.

        None where nobody can tell: in different partitions, or of a topic that was deleted and made anew between the two, which
        shows where the time says the opposite of the offset, and clocks alone do not differ so much.
        """
        if (self.topic, self.partition) != (other.topic, other.partition):
            return None
        behind, later_ms = self.offset - other.offset, self.timestamp_ms - other.timestamp_ms
        of_one_topic = behind * later_ms > 0 or abs(later_ms) <= _CLOCKS_DIFFER_BY_MS
        return behind if of_one_topic else None


class OriginalRecord(NamedTuple):
    """The source message, byte for byte."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class SyncFailed:
    """A change that could not be applied, or (scope `app`) an app that applies nothing.

    `original` is None where the message would not fit the broker's limit: it is then read again at `position`.
    All times are aware, in UTC. `attempt` starts at 1. `replay_id` is the replay that failed, if one did.
    """

    failure_id: str
    mapping: str
    direction: str
    source: RecordReference
    target: RecordReference
    category: str
    code: str
    scope: str
    parameters: Mapping[str, str]
    message: str
    exception_type: str | None
    top_frame: str | None
    trace: str | None
    attempt: int
    first_failed_at: datetime
    failed_at: datetime
    retry_at: datetime | None
    waits_for: RecordReference | None
    position: Position | None
    original: OriginalRecord | None
    replay_topic: str
    replay_id: str | None
    worker: str
    version: str


class SyncResolved(NamedTuple):
    """A failure that is over; `outcome` is what the change that ended it did.

    `position` is that change's, None for an app. An entry closes when `position` is not before its last failure's (same
    topic and partition), or, where they can't be compared, when `failure_id` is its last one; else only the replay is over.
    A named tuple, as one is made for each replay.
    """

    failure_id: str
    mapping: str
    direction: str
    record_id: str
    how: Resolution
    outcome: Outcome | None
    replay_id: str | None
    position: Position | None
    resolved_at: datetime
    worker: str


@dataclass(frozen=True, slots=True)
class SyncProgress:
    """The outcome counters of one worker and mapping since the worker started; the heartbeat of the whole path.

    `lag_records` is None until it is known. `paused_code` is the code of the app failure while the app is paused.
    """

    worker: str
    group: str
    mapping: str
    direction: str
    at: datetime
    started_at: datetime
    counts: Mapping[str, int]
    lag_records: int | None
    paused_code: str | None


class ReplayRequest(NamedTuple):
    """A failed change sent back to the worker with a decision; `scheduled` when no person asked.

    `corrections` are values to write instead of the translated ones, this once: JSON texts by target field. A named tuple, as
    one is made for each replay.
    """

    replay_id: str
    failure_id: str
    mapping: str
    direction: str
    record_id: str
    decision: Decision
    scheduled: bool
    position: Position
    original: OriginalRecord | None
    corrections: Mapping[str, str] | None = None


Event = SyncFailed | SyncResolved | SyncProgress | ReplayRequest


@dataclass(frozen=True, slots=True)
class ResolvedBundle:
    """Failures that are over, which travel together: of one mapping, one way and one source topic, and with a position each."""

    events: tuple[SyncResolved, ...]


@dataclass(frozen=True, slots=True)
class ReplayBundle:
    """Requests to replay that travel together: of one mapping, one decision and one source topic, and without corrections."""

    events: tuple[ReplayRequest, ...]


Bundle = ResolvedBundle | ReplayBundle


def record_key(mapping: str, direction: str, record_id: str) -> bytes:
    """Return the message key under which all events about one record of one mapping stay in order."""
    # what json.dumps makes of the three, in a tenth of the time
    quote = encode_basestring
    return f"[{quote(mapping)},{quote(direction)},{quote(record_id)}]".encode()


def event_key(event: Event) -> bytes:
    """Return the message key of an event: by record, by app for an app failure, by worker for progress."""
    match event:
        case SyncFailed(mapping=mapping, direction=direction, source=source):
            return record_key(mapping, direction, source.record_id)
        case SyncResolved(mapping=mapping, direction=direction, record_id=record_id):
            return record_key(mapping, direction, record_id)
        case ReplayRequest(mapping=mapping, direction=direction, record_id=record_id):
            return record_key(mapping, direction, record_id)
        case SyncProgress(mapping=mapping, direction=direction, worker=worker):
            return record_key(mapping, direction, worker)


def failure_id(mapping: str, topic: str, partition: int, offset: int, attempt: int) -> str:
    """Return the id that the same failure always gets, however often it is reported."""
    return str(uuid.uuid5(_FAILURES, json.dumps([mapping, topic, partition, offset, attempt])))
