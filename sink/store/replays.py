"""Requests to replay, from being asked for to their verdict."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Subquery,
    and_,
    bindparam,
    exists,
    func,
    or_,
    select,
    update,
)

from schemas.events import Decision, OriginalRecord, Position, ReplayRequest
from sink.batch import INSTEP
from sink.states import State, Verdict
from sink.store import bulk
from sink.store.portions import BYTES_AT_ONCE
from sink.store.progress import paused_mappings
from sink.store.rows import read_headers
from sink.store.tables import entry, job, job_item, payload, replay

# After so long a sink that wanted to send is taken for gone. It must have given up sending well before.
CLAIM_HOLDS_US = 45_000_000
_DECISIONS = {str(decision): decision for decision in Decision}


class Outgoing(NamedTuple):
    """A request to send, and the topic of the worker group that takes it."""

    topic: str
    request: ReplayRequest


@dataclass(frozen=True, slots=True)
class Claim:
    """A request that a sink wanted to send to a topic at a time, and did not mark as sent."""

    replay_id: str
    topic: str
    claimed_us: int


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


def has_unsent(connection: Connection) -> bool:
    """Whether there is a request that waits to be claimed."""
    free = (replay.c.verdict.is_(None), replay.c.sent_us.is_(None), replay.c.claimed_us.is_(None))
    return connection.execute(select(replay.c.id).where(*free).limit(1)).first() is not None


def claim(connection: Connection, now_us: int, limit: int, resting: Collection[str] = ()) -> list[Outgoing]:
    """Return requests that wait to be sent, now claimed for this sink; none for a paused app but to forget.

    None for the topics in `resting`. A request whose entry shows another failure by now, or is gone, is settled without being sent.
    """
    rows = connection.execute(_unsent(connection, now_us, limit, resting)).all()
    fresh = {row.id: row for row in rows if row.entry_failure_id == row.failure_id}
    _end_outdated(connection, [row for row in rows if row.id not in fresh], now_us)
    if not fresh:
        return []
    free = (
        bulk.among(connection, replay.c.id, list(fresh)),
        replay.c.sent_us.is_(None),
        replay.c.verdict.is_(None),
        replay.c.claimed_us.is_(None),
    )
    locked = select(replay.c.id).where(*free).order_by(replay.c.id).with_for_update(skip_locked=True)
    mine = set(connection.scalars(locked))
    claimed = update(replay).where(bulk.among(connection, replay.c.id, mine))
    connection.execute(claimed.values(claimed_us=now_us))
    return [_outgoing(row, row.corrections) for replay_id, row in fresh.items() if replay_id in mine]


def read_claimed(
    connection: Connection, replay_ids: Sequence[str], now_us: int
) -> tuple[list[Outgoing], list[str]]:
    """Return some of these requests, claimed when they were asked for, and the ids of those that are left; see `claim`."""
    mine = (bulk.among(connection, replay.c.id, replay_ids), replay.c.claimed_us.is_not(None))
    joined = _with_message(replay.join(entry, entry.c.id == replay.c.entry_id))
    query = select(*_COLUMNS, _bytes_before(replay.c.id)).select_from(joined)
    some = query.where(*mine, replay.c.verdict.is_(None)).subquery()
    rows = connection.execute(select(some).where(_fits(some)).order_by(some.c.id)).all()
    _end_outdated(connection, [row for row in rows if row.entry_failure_id != row.failure_id], now_us)
    read = {row.id for row in rows}
    left = [each for each in replay_ids if each not in read] if rows else []
    return [_outgoing(row, None) for row in rows if row.entry_failure_id == row.failure_id], left


def mark_sent(connection: Connection, replay_ids: Sequence[str], now_us: int) -> None:
    """Note that the broker has acknowledged these requests, but for those that are answered already, which says as much."""
    if not replay_ids:
        return
    mine = (bulk.among(connection, replay.c.id, replay_ids), replay.c.verdict.is_(None))
    # answers may come at this moment: both writers lock in the same order
    locked = select(replay.c.id).where(*mine).order_by(replay.c.id).with_for_update()
    if connection.execute(locked).all():
        connection.execute(update(replay).where(*mine, replay.c.sent_us.is_(None)).values(sent_us=now_us))


def release(connection: Connection, replay_ids: Sequence[str]) -> None:
    """Give requests back that surely were not sent."""
    if replay_ids:
        mine = bulk.among(connection, replay.c.id, replay_ids)
        connection.execute(update(replay).where(mine, replay.c.sent_us.is_(None)).values(claimed_us=None))


def expired_claims(connection: Connection, now_us: int, limit: int) -> list[Claim]:
    """Return requests that a sink claimed and did not mark as sent in time: whether they were sent, the topic knows."""
    query = (
        select(replay.c.id, entry.c.replay_topic, replay.c.claimed_us)
        .select_from(replay.join(entry, entry.c.id == replay.c.entry_id))
        .where(replay.c.verdict.is_(None), replay.c.sent_us.is_(None))
        .where(replay.c.claimed_us < now_us - CLAIM_HOLDS_US, entry.c.origin == INSTEP)
        .order_by(replay.c.requested_us)
        .limit(limit)
    )
    return [Claim(*row) for row in connection.execute(query)]


def release_claims(connection: Connection, claims: Sequence[Claim]) -> None:
    """Give requests back of which the topic knows nothing, but for those that were claimed anew meanwhile."""
    if not claims:
        return
    same = (replay.c.id == bindparam("of_replay"), replay.c.claimed_us == bindparam("claimed_before_us"))
    statement = update(replay).where(*same, replay.c.sent_us.is_(None)).values(claimed_us=None)
    rows = [{"of_replay": each.replay_id, "claimed_before_us": each.claimed_us} for each in claims]
    connection.execute(statement, rows)


def time_out(connection: Connection, before_us: int, now_us: int, limit: int) -> Overdue:
    """End replays without an answer since `before_us`: unconfirmed when they may have been sent, else as if not asked."""
    # claimed and never looked up in the topic, which is away: it may have reached the worker
    given_up_us = min(before_us, now_us - 2 * CLAIM_HOLDS_US)
    # what the worker is to forget is sent however late: its entry is closed already
    forgets = and_(replay.c.decision == Decision.DROP, exists().where(entry.c.id == replay.c.entry_id))
    unsent = and_(replay.c.sent_us.is_(None), ~forgets)
    overdue = or_(
        replay.c.sent_us < before_us,
        and_(unsent, replay.c.claimed_us.is_(None), replay.c.requested_us < before_us),
        and_(unsent, replay.c.claimed_us < given_up_us),
    )
    query = (
        select(replay).where(replay.c.verdict.is_(None), overdue).order_by(replay.c.requested_us).limit(limit)
    )
    rows = connection.execute(query).all()
    if not rows:
        return Overdue(0, 0)
    # entries before replays, as who writes answers does: two that lock the same cannot wait for each other
    entries = bulk.among(connection, entry.c.id, [row.entry_id for row in rows])
    connection.execute(select(entry.c.id).where(entries).order_by(entry.c.id).with_for_update()).all()
    not_sent = [row for row in rows if row.claimed_us is None and row.sent_us is None]
    maybe_sent = [row for row in rows if row.claimed_us is not None or row.sent_us is not None]
    return Overdue(
        _end(connection, maybe_sent, Verdict.UNCONFIRMED, now_us),
        _end(connection, not_sent, Verdict.NOT_SENT, now_us),
    )


def read_verdicts(connection: Connection, replay_ids: Sequence[str]) -> dict[str, tuple[Verdict, str | None]]:
    """Return the verdicts that have come in for these replays, with the code of a new failure."""
    query = select(replay.c.id, replay.c.verdict, replay.c.code).where(
        bulk.among(connection, replay.c.id, replay_ids), replay.c.verdict.is_not(None)
    )
    return {row.id: (Verdict(row.verdict), row.code) for row in connection.execute(query)}


_COLUMNS = (
    replay.c.id,
    replay.c.entry_id,
    replay.c.failure_id,
    replay.c.decision,
    replay.c.scheduled,
    replay.c.requested_us,
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


def _with_message(joined: FromClause) -> FromClause:
    # to forget a failure the worker needs no message
    wanted = and_(payload.c.id == entry.c.payload_id, replay.c.decision != Decision.DROP)
    return joined.outerjoin(payload, wanted)


def _bytes_before(*order: ColumnElement[Any]) -> ColumnElement[int]:
    bytes_of = func.coalesce(func.length(payload.c.value), 0)
    return func.sum(bytes_of).over(order_by=order, rows=(None, -1)).label("bytes_before")


def _fits(requests: Subquery) -> ColumnElement[bool]:
    return func.coalesce(requests.c.bytes_before, 0) < BYTES_AT_ONCE


def _unsent(connection: Connection, now_us: int, limit: int, resting: Collection[str]) -> Any:
    paused = sorted(paused_mappings(connection, now_us))
    joined = (
        _with_message(replay.outerjoin(entry, entry.c.id == replay.c.entry_id))
        .outerjoin(job_item, job_item.c.replay_id == replay.c.id)
        .outerjoin(job, job.c.id == job_item.c.job_id)
    )
    order = (replay.c.requested_us, job.c.created_us, job_item.c.number)
    waiting = (
        select(*_COLUMNS, job.c.corrections, _bytes_before(*order))
        .select_from(joined)
        .where(replay.c.verdict.is_(None), replay.c.sent_us.is_(None), replay.c.claimed_us.is_(None))
        .where(or_(replay.c.decision == Decision.DROP, entry.c.id.is_(None), entry.c.mapping.not_in(paused)))
        .where(or_(entry.c.id.is_(None), entry.c.origin == INSTEP))
        .where(or_(entry.c.id.is_(None), entry.c.replay_topic.not_in(sorted(resting))))
        .order_by(*order)
        .limit(limit)
        .subquery()
    )
    return select(waiting).where(_fits(waiting))


def _end_outdated(connection: Connection, rows: Sequence[Row[Any]], now_us: int) -> None:
    """Settle replays whose entries show another failure by now, or are gone."""
    if not rows:
        return
    # entries before replays, as who writes answers does: two that lock the same cannot wait for each other
    asked = (
        bulk.among(connection, entry.c.id, [row.entry_id for row in rows]),
        bulk.among_found(connection, entry.c.replay_id, [row.id for row in rows]),
    )
    connection.execute(select(entry.c.id).where(*asked).order_by(entry.c.id).with_for_update()).all()
    connection.execute(update(entry).where(*asked).values(replay_id=None))
    for verdict in (Verdict.SUPERSEDED, Verdict.NOT_SENT):
        ended = [row.id for row in rows if (Verdict.SUPERSEDED if row.key else Verdict.NOT_SENT) is verdict]
        still = (bulk.among(connection, replay.c.id, ended), replay.c.verdict.is_(None))
        connection.execute(select(replay.c.id).where(*still).order_by(replay.c.id).with_for_update()).all()
        connection.execute(
            update(replay).where(*still).values(verdict=verdict, verdict_us=now_us, claimed_us=None)
        )


def _end(connection: Connection, rows: Sequence[Row[Any]], verdict: Verdict, now_us: int) -> int:
    """Settle replays whose entries are locked, and put these back; returns how many were settled."""
    if not rows:
        return 0
    ids = [row.id for row in rows]
    still = [bulk.among(connection, replay.c.id, ids), replay.c.verdict.is_(None)]
    if verdict is Verdict.NOT_SENT:
        still += [replay.c.claimed_us.is_(None), replay.c.sent_us.is_(None)]
    connection.execute(select(replay.c.id).where(*still).order_by(replay.c.id).with_for_update()).all()
    settled = update(replay).where(*still).values(verdict=verdict, verdict_us=now_us).returning(replay.c.id)
    ended = set(connection.scalars(settled))
    for scheduled in (False, True):
        mine = [row for row in rows if row.id in ended and row.scheduled is scheduled]
        if mine:
            _put_back(connection, mine, verdict, State.WAITING if scheduled else State.OPEN)
    return len(ended)


def _put_back(connection: Connection, rows: Sequence[Row[Any]], verdict: Verdict, back: State) -> None:
    # the entry keeps the id of an unconfirmed replay: its answer may still come
    values: dict[str, Any] = (
        {"state": State.UNCONFIRMED} if verdict is Verdict.UNCONFIRMED else {"state": back, "replay_id": None}
    )
    same = (
        bulk.among(connection, entry.c.id, [row.entry_id for row in rows]),
        bulk.among_found(connection, entry.c.replay_id, [row.id for row in rows]),
        entry.c.state == State.REPLAYING,
    )
    connection.execute(update(entry).where(*same).values(**values, row_version=entry.c.row_version + 1))


def _outgoing(row: Row[Any], corrections: str | None) -> Outgoing:
    # taken apart at once, as a database's row looks each attribute up by its name
    replay_id, _, failure_id, decision, scheduled, _, _, key, *place, to, message, its_key, value, headers = (
        row[: len(_COLUMNS)]
    )
    mapping, direction, record_id = orjson.loads(key)
    original = None if message is None else OriginalRecord(its_key, value, read_headers(headers))
    request = ReplayRequest(
        replay_id,
        failure_id,
        mapping,
        direction,
        record_id,
        _DECISIONS[decision],
        scheduled,
        Position(*place),
        original,
        None if corrections is None else orjson.loads(corrections),
    )
    return Outgoing(to, request)


def new_replay_id(_entry_id: str = "") -> str:
    """Return an id that no other replay has."""
    return str(uuid.uuid4())
