"""Requests to replay, from being asked for to their verdict."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select, update

from schemas.events import Decision, OriginalRecord, Position, ReplayRequest
from sink.states import State, Verdict
from sink.store import bulk
from sink.store.progress import paused_mappings
from sink.store.rows import read_headers
from sink.store.tables import entry, payload, replay

# after so long a sink that wanted to send is taken for gone
CLAIM_HOLDS_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request to send, and the topic of the worker group that takes it."""

    topic: str
    request: ReplayRequest


@dataclass(frozen=True, slots=True)
class Overdue:
    """How many replays ran out of time, by what became of them."""

    unconfirmed: int
    not_sent: int


def due_entries(connection: Connection, now_us: int, limit: int) -> list[str]:
    """Return waiting entries whose time to be retried has come, but for those of a paused app; the longest due first."""
    paused = sorted(paused_mappings(connection, now_us))
    due = (
        select(entry.c.id)
        .where(
            entry.c.state == State.WAITING, entry.c.retry_at_us <= now_us, entry.c.source_topic.is_not(None)
        )
        .where(entry.c.mapping.not_in(paused))
        .order_by(entry.c.retry_at_us)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return list(connection.scalars(due))


def claim(connection: Connection, now_us: int, limit: int) -> list[Outgoing]:
    """Return requests that wait to be sent, now claimed for this sink; none for a paused app but to forget.

    A request whose entry shows another failure by now, or is gone, is settled without being sent.
    """
    outgoing = []
    for row in connection.execute(_unsent(connection, now_us, limit)):
        if row.entry_failure_id != row.failure_id:
            _settle(connection, row.id, Verdict.SUPERSEDED if row.key else Verdict.NOT_SENT, now_us)
            forget = update(entry).where(entry.c.id == row.entry_id, entry.c.replay_id == row.id)
            connection.execute(forget.values(replay_id=None))
        elif _claim(connection, row.id, now_us):
            outgoing.append(_outgoing(row))
    return outgoing


def mark_sent(connection: Connection, replay_ids: Sequence[str], now_us: int) -> None:
    """Note that the broker has acknowledged these requests."""
    mine = bulk.among(connection, replay.c.id, replay_ids)
    connection.execute(update(replay).where(mine).values(sent_us=now_us))


def release(connection: Connection, replay_ids: Sequence[str]) -> None:
    """Give requests back that could not be sent."""
    mine = bulk.among(connection, replay.c.id, replay_ids)
    connection.execute(update(replay).where(mine, replay.c.sent_us.is_(None)).values(claimed_us=None))


def time_out(connection: Connection, before_us: int, now_us: int, limit: int) -> Overdue:
    """End replays without an answer since `before_us`: unconfirmed when they may have been sent, else as if not asked."""
    overdue = or_(
        replay.c.sent_us < before_us,
        and_(replay.c.sent_us.is_(None), replay.c.requested_us < before_us, _is_free(now_us)),
    )
    query = (
        select(replay).where(replay.c.verdict.is_(None), overdue).order_by(replay.c.requested_us).limit(limit)
    )
    counts = {Verdict.UNCONFIRMED: 0, Verdict.NOT_SENT: 0}
    for row in connection.execute(query).all():
        # claimed and not marked as sent: it may have reached the worker
        verdict = Verdict.NOT_SENT if row.claimed_us is None else Verdict.UNCONFIRMED
        if _settle(connection, row.id, verdict, now_us):
            counts[verdict] += 1
            _move_entry(connection, row, verdict)
    return Overdue(counts[Verdict.UNCONFIRMED], counts[Verdict.NOT_SENT])


def read_verdicts(connection: Connection, replay_ids: Sequence[str]) -> dict[str, tuple[Verdict, str | None]]:
    """Return the verdicts that have come in for these replays, with the code of a new failure."""
    query = select(replay.c.id, replay.c.verdict, replay.c.code).where(
        bulk.among(connection, replay.c.id, replay_ids), replay.c.verdict.is_not(None)
    )
    return {row.id: (Verdict(row.verdict), row.code) for row in connection.execute(query)}


def _unsent(connection: Connection, now_us: int, limit: int) -> Any:
    paused = sorted(paused_mappings(connection, now_us))
    columns = (
        replay,
        entry.c.failure_id.label("entry_failure_id"),
        entry.c.key,
        entry.c.source_topic,
        entry.c.source_partition,
        entry.c.source_offset,
        entry.c.source_timestamp_ms,
        entry.c.replay_topic,
        payload.c.id.label("payload_id"),
        payload.c.key.label("payload_key"),
        payload.c.value.label("payload_value"),
        payload.c.headers.label("payload_headers"),
    )
    joined = replay.outerjoin(entry, entry.c.id == replay.c.entry_id)
    return (
        select(*columns)
        .select_from(joined.outerjoin(payload, payload.c.id == entry.c.payload_id))
        .where(replay.c.verdict.is_(None), replay.c.sent_us.is_(None), _is_free(now_us))
        .where(or_(replay.c.decision == Decision.DROP, entry.c.id.is_(None), entry.c.mapping.not_in(paused)))
        .order_by(replay.c.requested_us)
        .limit(limit)
    )


def _is_free(now_us: int) -> ColumnElement[bool]:
    return or_(replay.c.claimed_us.is_(None), replay.c.claimed_us < now_us - CLAIM_HOLDS_US)


def _claim(connection: Connection, replay_id: str, now_us: int) -> bool:
    free = (
        replay.c.id == replay_id,
        replay.c.sent_us.is_(None),
        replay.c.verdict.is_(None),
        _is_free(now_us),
    )
    return connection.execute(update(replay).where(*free).values(claimed_us=now_us)).rowcount == 1


def _settle(connection: Connection, replay_id: str, verdict: Verdict, now_us: int) -> bool:
    open_one = (replay.c.id == replay_id, replay.c.verdict.is_(None))
    settled = update(replay).where(*open_one).values(verdict=verdict, verdict_us=now_us)
    return connection.execute(settled).rowcount == 1


def _move_entry(connection: Connection, row: Row[Any], verdict: Verdict) -> None:
    # the entry keeps the id of an unconfirmed replay: its answer may still come
    back = State.WAITING if row.scheduled else State.OPEN
    values: dict[str, Any] = (
        {"state": State.UNCONFIRMED} if verdict is Verdict.UNCONFIRMED else {"state": back, "replay_id": None}
    )
    same = (entry.c.id == row.entry_id, entry.c.state == State.REPLAYING, entry.c.replay_id == row.id)
    connection.execute(update(entry).where(*same).values(**values, row_version=entry.c.row_version + 1))


def _outgoing(row: Row[Any]) -> Outgoing:
    mapping, direction, record_id = orjson.loads(row.key)
    original = None
    if row.payload_id is not None:
        original = OriginalRecord(row.payload_key, row.payload_value, read_headers(row.payload_headers))
    position = Position(row.source_topic, row.source_partition, row.source_offset, row.source_timestamp_ms)
    request = ReplayRequest(
        replay_id=row.id,
        failure_id=row.failure_id,
        mapping=mapping,
        direction=direction,
        record_id=record_id,
        decision=Decision(row.decision),
        scheduled=row.scheduled,
        position=position,
        original=original,
    )
    return Outgoing(row.replay_topic, request)


def new_replay_id() -> str:
    """Return an id that no other replay has."""
    return str(uuid.uuid4())
