"""Reading entries: filters, pages by key, one entry with all that is known of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import orjson
from sqlalchemy import Connection, Row, and_, func, select

from schemas.events import OriginalRecord, Position, RecordReference
from sink.fold import Attempt
from sink.states import State, Verdict
from sink.store import bulk
from sink.store.filtering import (
    NEWEST_FIRST,
    Filter,
    PageKey,
    beyond,
    count_matching,
    counts_tell,
    matching,
)
from sink.store.pages import BY_GROUP_UP_TO, is_by_group, newest_by_kind, page_ids
from sink.store.rows import ENTRY_COLUMNS, read_attempts, read_headers
from sink.store.tables import entry, payload, replay

PAGE = 500
# by the worker, who got the request then
_ANSWERS = frozenset({Verdict.RESOLVED, Verdict.SUPERSEDED, Verdict.DROPPED, Verdict.FAILED_AGAIN})

# what reads entries says which ones it means
__all__ = ["Filter", "PageKey", "count_matching", "matching"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of one mapping that failed, and how it stands now."""

    id: str
    key: str
    mapping: str
    direction: str
    record_id: str
    state: State
    row_version: int
    count: int
    category: str
    code: str
    scope: str
    message: str
    parameters: Mapping[str, str]
    failure_id: str
    attempt: int
    attempts: tuple[Attempt, ...]
    first_failed_us: int
    last_failed_us: int
    retry_at_us: int | None
    waits_for: RecordReference | None
    source: RecordReference
    position: Position | None
    target: RecordReference
    exception_type: str | None
    top_frame: str | None
    trace: str | None
    worker: str
    worker_version: str
    payload_id: str | None
    resolved_by: str | None
    outcome: str | None
    closed_us: int | None
    closed_by: str | None
    reason: str | None
    group_id: str
    failed_replays: int
    origin: str


_MADE = {"state", "parameters", "attempts", "waits_for", "source", "position", "target"}
_AS_STORED = tuple(name for name in Entry.__dataclass_fields__ if name not in _MADE)


@dataclass(frozen=True, slots=True)
class Replay:
    """One replay of an entry, as it was asked for and how it ended."""

    id: str
    decision: str
    scheduled: bool
    actor: str
    requested_us: int
    sent_us: int | None
    verdict: str | None
    verdict_us: int | None
    code: str | None


@dataclass(frozen=True, slots=True)
class Tally:
    """How many entries of one state and category there are, and when the newest failed."""

    state: State
    category: str
    entries: int
    last_failed_us: int


def read_page(
    connection: Connection, wanted: Filter, *, after: PageKey | None = None, limit: int = PAGE
) -> list[Entry]:
    """Return entries, the last failed first; `after` is `page_key` of the last entry of the page before."""
    if limit <= BY_GROUP_UP_TO and is_by_group(connection, wanted):
        ids = page_ids(connection, wanted, after, limit)
        query = select(entry).where(bulk.among(connection, entry.c.id, ids))
    else:
        query = matching(connection, select(entry), wanted).where(*beyond(after)).limit(limit)
    return [read_entry(row) for row in connection.execute(query.order_by(*NEWEST_FIRST))]


def page_key(last: Entry) -> PageKey:
    """Return where the page after this entry begins."""
    return last.last_failed_us, last.id


def read_all(connection: Connection, wanted: Filter, *, limit: int | None = None) -> Iterator[Entry]:
    """Yield entries, the last failed first, a page at a time."""
    after: PageKey | None = None
    left = limit
    while left is None or left > 0:
        page = read_page(connection, wanted, after=after, limit=PAGE if left is None else min(PAGE, left))
        yield from page
        if len(page) < PAGE:
            return
        after = page_key(page[-1])
        left = None if left is None else left - len(page)


def read_ids(connection: Connection, wanted: Filter) -> list[str]:
    """Return the ids of entries, the first failed first: the frozen list that an action works on."""
    query = matching(connection, select(entry.c.id), wanted)
    return list(connection.scalars(query.order_by(entry.c.last_failed_us, entry.c.id)))


def find_ids(connection: Connection, start: str, limit: int = 2) -> list[str]:
    """Return ids that begin with `start`, so that a person need not type all of it."""
    last = start + "\U0010ffff"
    within = and_(entry.c.id >= start, entry.c.id < last)
    return list(connection.scalars(select(entry.c.id).where(within).order_by(entry.c.id).limit(limit)))


def count_entries(connection: Connection, wanted: Filter) -> list[Tally]:
    """Return how many entries match, by state and category, with the newest date."""
    if counts_tell(connection, wanted):
        rows = newest_by_kind(connection, wanted)
    else:
        columns = (entry.c.state, entry.c.category, func.count(), func.max(entry.c.last_failed_us))
        query = matching(connection, select(*columns), wanted).group_by(entry.c.state, entry.c.category)
        rows = connection.execute(query.order_by(entry.c.state, entry.c.category)).all()
    return [Tally(State(state), category, int(number), newest) for state, category, number, newest in rows]


def read_replays(connection: Connection, entry_id: str, limit: int = 10) -> list[Replay]:
    """Return the last replays of an entry, the newest first."""
    query = select(replay).where(replay.c.entry_id == entry_id)
    rows = connection.execute(query.order_by(replay.c.requested_us.desc(), replay.c.id).limit(limit))
    return [
        Replay(
            row.id,
            row.decision,
            row.scheduled,
            row.actor,
            row.requested_us,
            # of many it is noted later, or not at all where the answer was faster
            row.claimed_us if row.sent_us is None and row.verdict in _ANSWERS else row.sent_us,
            row.verdict,
            row.verdict_us,
            row.code,
        )
        for row in rows
    ]


def read_original(connection: Connection, payload_id: str | None) -> OriginalRecord | None:
    """Return the message of an entry, None where it was not sent along or is not kept any more."""
    if payload_id is None:
        return None
    row = connection.execute(select(payload).where(payload.c.id == payload_id)).one_or_none()
    return None if row is None else OriginalRecord(row.key, row.value, read_headers(row.headers))


def read_entry(found: Row[Any]) -> Entry:
    """Return a row of the whole entry table as an entry."""
    # a database's row looks each attribute up by its name, which was most of what this costs
    stored = dict(zip(ENTRY_COLUMNS, found, strict=True))
    row = SimpleNamespace(**stored)
    return Entry(
        **{name: stored[name] for name in _AS_STORED},
        state=State(row.state),
        parameters=orjson.loads(row.parameters),
        attempts=read_attempts(row.attempts),
        waits_for=None if row.waits_for is None else RecordReference(**orjson.loads(row.waits_for)),
        source=RecordReference(row.source_app, row.source_entity, row.record_id, row.source_link),
        position=read_position(row),
        target=RecordReference(row.target_app, row.target_entity, row.target_record_id, row.target_link),
    )


def read_position(row: Any) -> Position | None:
    """Return where the change of an entry's row stands in its source topic."""
    if row.source_topic is None:
        return None
    return Position(row.source_topic, row.source_partition, row.source_offset, row.source_timestamp_ms)
