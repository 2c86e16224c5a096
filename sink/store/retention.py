"""Removing what is over, a small batch in each call. Open, waiting, unconfirmed and replaying entries never match."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Column, Connection, Table, delete, exists, select, text, update

from sink.store import bulk
from sink.store.tables import (
    CLOSED_STATES,
    audit,
    entry,
    group_rate,
    job,
    job_item,
    payload,
    progress_slot,
    quarantine,
    rate,
    replay,
    session,
    worker_progress,
)
from sink.store.write_batch import TOUCH_EVERY_US

# written out as in the index of closed entries, which the database would not use for states that it is handed
_CLOSED = text(f"instep_entry.{CLOSED_STATES}")
_UNUSED = ~exists().where(entry.c.payload_id == payload.c.id)


def purge_closed(connection: Connection, before_us: int, now_us: int, limit: int) -> int:
    """Delete entries that were closed before a time, with their replays and messages; returns how many."""
    aged = (
        select(entry.c.id)
        .where(_CLOSED, entry.c.ages_from_us < before_us)
        .order_by(entry.c.ages_from_us)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return delete_entries(connection, list(connection.scalars(aged)), now_us)


def delete_entries(connection: Connection, ids: Sequence[str], now_us: int) -> int:
    """Delete entries that the transaction has locked, with their messages and such replays as no job counts; returns how many."""
    if not ids:
        return 0
    among = bulk.among(connection, entry.c.id, ids)
    messages = list(
        connection.scalars(select(entry.c.payload_id).where(among, entry.c.payload_id.is_not(None)))
    )
    # a job that is not finished counts the verdicts of its replays; these age out as other replays do
    asked = job_item.join(job, job.c.id == job_item.c.job_id)
    counted = (
        exists().select_from(asked).where(job_item.c.replay_id == replay.c.id, job.c.finished_us.is_(None))
    )
    connection.execute(delete(replay).where(bulk.among(connection, replay.c.entry_id, ids), ~counted))
    deleted = connection.execute(delete(entry).where(among)).rowcount
    purge_payloads(connection, messages, now_us)
    return deleted


def strip_payloads(connection: Connection, before_us: int, now_us: int, limit: int) -> int:
    """Take the messages off entries that were closed before a time; returns how many entries."""
    aged = (
        select(entry.c.id, entry.c.payload_id)
        .where(_CLOSED, entry.c.ages_from_us < before_us, entry.c.payload_id.is_not(None))
        .order_by(entry.c.ages_from_us)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = connection.execute(aged).all()
    if rows:
        among = bulk.among(connection, entry.c.id, [row.id for row in rows])
        connection.execute(
            update(entry).where(among).values(payload_id=None, row_version=entry.c.row_version + 1)
        )
        purge_payloads(connection, [row.payload_id for row in rows], now_us)
    return len(rows)


@dataclass(frozen=True, slots=True)
class Looked:
    """A portion of the messages, up to `last` (None: these were the rest); no entry has those that are `unused`."""

    last: str | None
    unused: Sequence[str]


def look_for_unused(connection: Connection, after: str, limit: int) -> Looked:
    """Look at the next messages, in the order of their ids."""
    # not EXISTS, for which PostgreSQL may read all entries with each portion
    used = select(entry.c.id).where(entry.c.payload_id == payload.c.id).limit(1).scalar_subquery()
    query = select(payload.c.id, used.is_(None).label("unused")).where(payload.c.id > after)
    rows = connection.execute(query.order_by(payload.c.id).limit(limit)).all()
    last = rows[-1].id if len(rows) == limit else None
    return Looked(last, [row.id for row in rows if row.unused])


def purge_payloads(connection: Connection, ids: Sequence[str], now_us: int) -> int:
    """Delete those of the messages that no entry has, but for young ones; returns how many."""
    if not ids:
        return 0
    # One that was touched lately may be on its way into an entry of a transaction that we do not see yet. An ingest
    # touches what it uses at least every TOUCH_EVERY_US, which makes a concurrent delete look again.
    young = payload.c.touched_us >= now_us - 2 * TOUCH_EVERY_US
    gone = delete(payload).where(bulk.among(connection, payload.c.id, ids), ~young, _UNUSED)
    return connection.execute(gone).rowcount


def purge_older(connection: Connection, what: str, before_us: int, limit: int) -> int:
    """Delete old rows of what _AGES names; returns how many."""
    table, age = _AGES[what]
    first = next(iter(table.primary_key.columns))
    old = select(first).where(age < before_us).limit(limit)
    return connection.execute(delete(table).where(first.in_(old), age < before_us)).rowcount


_AGES: dict[str, tuple[Table, Column[int]]] = {
    "quarantine": (quarantine, quarantine.c.quarantined_us),
    "audit": (audit, audit.c.at_us),
    "replays": (replay, replay.c.verdict_us),
    "progress": (worker_progress, worker_progress.c.at_us),
    "sessions": (session, session.c.expires_us),
    "rates": (rate, rate.c.slot_us),
    "group_rates": (group_rate, group_rate.c.slot_us),
    "progress_slots": (progress_slot, progress_slot.c.slot_us),
}
