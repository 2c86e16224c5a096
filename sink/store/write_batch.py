"""A gathered batch into the store: entries, messages, verdicts, progress, quarantine and positions in one transaction."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import structlog
from sqlalchemy import Connection, or_, select
from sqlalchemy.exc import DBAPIError

from plumbing.database import refuses_values
from schemas.events import Position, SyncProgress
from sink.batch import Batch, EntryEvents, Partition, Unread
from sink.fold import Settled, Standing
from sink.states import State, Verdict
from sink.store import bulk
from sink.store.batch_rows import BatchRows, Known, Lifetime, Prepared, fold_entry
from sink.store.halves import write_in_halves
from sink.store.positions import advance
from sink.store.progress import write_progress
from sink.store.quarantine import keys_in_quarantine, set_aside
from sink.store.rates import write_progress_slots, write_rates
from sink.store.rows import (
    CLOSED_COLUMNS,
    ENTRY_COLUMNS,
    NOTED_COLUMNS,
    read_attempts,
)
from sink.store.sightings import look_up, write_sightings
from sink.store.store import Store
from sink.store.tables import entry, payload, replay

_STATES = {str(state): state for state in State}
_LOCKED = (
    entry.c.id,
    entry.c.state,
    entry.c.failure_id,
    entry.c.source_topic,
    entry.c.source_partition,
    entry.c.source_offset,
    entry.c.source_timestamp_ms,
    entry.c.count,
    entry.c.first_failed_us,
    entry.c.attempts,
    entry.c.replay_id,
    entry.c.failed_replays,
    entry.c.row_version,
    entry.c.payload_id,
)
_HOUR_US = 3_600_000_000
TOUCH_EVERY_US = _HOUR_US
_TOUCH = (
    "UPDATE SET touched_us = excluded.touched_us "
    f"WHERE instep_payload.touched_us < excluded.touched_us - {TOUCH_EVERY_US}"
)


@dataclass(frozen=True, slots=True)
class Written:
    """The batch is in the store. `counts` are events by type and result, `verdicts` with whether the schedule had asked,
    `opened` groups that are new or regressed.
    """

    counts: Counter[tuple[str, str]]
    lifetimes: tuple[Lifetime, ...]
    verdicts: tuple[tuple[Verdict, bool], ...]
    opened: Counter[str]


@dataclass(frozen=True, slots=True)
class Fenced:
    """Nothing was written: another sink has ingested from these partitions meanwhile."""

    partitions: tuple[Partition, ...]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A batch whose values are decoded as far as they are needed: what one transaction writes."""

    batch: Batch
    entries: Sequence[EntryEvents]
    progress: Sequence[SyncProgress]
    prepared: Prepared


class _Elsewhere(Exception):  # noqa: N818  rolls the transaction back, leaves this file as a value
    def __init__(self, partitions: Sequence[Partition]) -> None:
        super().__init__()
        self.partitions = tuple(partitions)


def decode_batch(batch: Batch, now_us: int) -> Decoded:
    """Decode what a batch needs; needs no database, so it can run while the batch before is written."""
    entries, prepared = [], Prepared()
    # one entry after the other, while what was decoded is at hand in the processor's cache
    for each in batch.entries():
        entries.append(each)
        prepared.add(each, now_us)
    return Decoded(batch, entries, batch.latest_progress(), prepared)


def write_batch(store: Store, decoded: Decoded, now_us: int) -> Written | Fenced:
    """Write a batch and move the positions of its partitions, all or nothing; raises what StoreAway lists.

    Entries that the database refuses go to quarantine; raises ValueDroppedError where the bytes of one went.
    """
    try:
        try:
            return _write(store, decoded, now_us, _entries_at_once)
        except DBAPIError as error:
            if not refuses_values(error):
                raise
            name = type(error.orig).__name__
            structlog.get_logger().warning("the database refuses a part of a batch", error=name)
            return _write(store, decoded, now_us, _entries_in_halves)
    except _Elsewhere as fenced:
        return Fenced(fenced.partitions)


def write_entries(
    connection: Connection,
    batch: Batch,
    entries: Sequence[EntryEvents],
    now_us: int,
    *,
    prepared: Prepared | None = None,
    all_failures: bool = False,
) -> Written:
    """Fold events into their entries and write these; positions are not touched.

    `all_failures` decodes every failure, for events that do not come in the order of their changes.
    """
    known = _lock_entries(connection, [each.entry_id for each in entries])
    rows = BatchRows(batch, prepared or Prepared(), now_us, all_failures)
    for each in entries:
        fold_entry(each, known.get(each.entry_id), rows)
    sightings = look_up(connection, rows.prepared.causes.seen.values())
    rows.move_to_others(sightings.moved)
    bulk.upsert_rows(connection, payload, ("id",), list(rows.payloads.values()), _TOUCH)
    bulk.insert_rows(connection, entry, rows.inserts)
    bulk.update_rows(connection, entry, ENTRY_COLUMNS, rows.updates)
    bulk.update_rows(connection, entry, NOTED_COLUMNS, rows.noted)
    bulk.update_rows(connection, entry, CLOSED_COLUMNS, rows.closed)
    scheduled = _settle(connection, rows.settled, now_us)
    # last, as another sink may wait for a row of a group that both write to
    opened = write_sightings(connection, sightings)
    write_rates(connection, rows.happened, _source(batch))
    return Written(
        rows.counts,
        tuple(rows.lifetimes),
        tuple((each.verdict, each.replay_id in scheduled) for each in rows.settled),
        opened,
    )


def _write(
    store: Store, decoded: Decoded, now_us: int, write: Callable[[Connection, Decoded, int], Written]
) -> Written:
    batch = decoded.batch
    with store.writing() as connection:
        elsewhere = advance(connection, batch.spans, now_us, batch.topic_ids)
        if elsewhere:
            raise _Elsewhere(elsewhere)
        # asked before entries are read: what leaves quarantine meanwhile is found there
        ends = _ends_in_quarantine(connection, decoded)
        written = write(connection, decoded, now_us)
        write_progress(connection, decoded.progress)
        write_progress_slots(connection, decoded.progress)
        set_aside(connection, [*batch.unread, *ends], now_us)
    return replace(written, counts=written.counts + batch.counts)


def _entries_at_once(connection: Connection, decoded: Decoded, now_us: int) -> Written:
    return write_entries(connection, decoded.batch, decoded.entries, now_us, prepared=decoded.prepared)


def _entries_in_halves(connection: Connection, decoded: Decoded, now_us: int) -> Written:
    batch = decoded.batch
    parts: list[Written] = []

    def write(some: Sequence[EntryEvents]) -> None:
        parts.append(write_entries(connection, batch, some, now_us))

    write_in_halves(connection, decoded.entries, write, batch.refuse)
    return Written(
        sum((part.counts for part in parts), Counter()),
        tuple(chain.from_iterable(part.lifetimes for part in parts)),
        tuple(chain.from_iterable(part.verdicts for part in parts)),
        sum((part.opened for part in parts), Counter()),
    )


def _source(batch: Batch) -> str:
    """Return what no other sink writes rates under at the same time: a partition that this batch is of."""
    topic, partition = min(batch.spans, default=("", 0))
    return f"{topic}/{partition}"


def _lock_entries(connection: Connection, ids: Sequence[str]) -> dict[str, Known]:
    # always in the order of ids: two that lock the same entries cannot wait for each other
    wanted = select(*_LOCKED).where(bulk.among(connection, entry.c.id, ids)).order_by(entry.c.id)
    rows = connection.execute(wanted.with_for_update()).all()
    scheduled = _scheduled(connection, [row.replay_id for row in rows if row.replay_id is not None])
    known = {}
    # taken apart at once, as a database's row looks each attribute up by its name
    for (
        entry_id,
        state,
        failure_id,
        topic,
        partition,
        offset,
        at_ms,
        count,
        first_us,
        attempts,
        *rest,
    ) in rows:
        replay_id, failed_replays, row_version, payload_id = rest
        standing = Standing(
            _STATES[state],
            failure_id,
            None if topic is None else Position(topic, partition, offset, at_ms),
            count,
            first_us,
            read_attempts(attempts),
            replay_id,
            failed_replays,
            replay_id in scheduled,
        )
        known[entry_id] = Known(standing, row_version, payload_id)
    return known


def _settle(connection: Connection, settled: Sequence[Settled], now_us: int) -> set[str]:
    """Note the answers, of several to one replay the first; returns the replays that the schedule asked for."""
    if not settled:
        return set()
    first: dict[str, tuple[Any, ...]] = {}
    for each in settled:
        first.setdefault(each.replay_id, (each.replay_id, str(each.verdict), each.code, now_us))
    # in one order, as all who write several of them at once do: two that lock the same cannot wait for each other
    mine = bulk.among(connection, replay.c.id, list(first))
    locked = connection.execute(
        select(replay.c.id, replay.c.scheduled).where(mine).order_by(replay.c.id).with_for_update()
    ).all()
    # an answer that comes after the time-out still counts
    unanswered = or_(
        replay.c.verdict.is_(None),
        # no IN: its list of parameters cannot be repeated for each of several rows
        replay.c.verdict == str(Verdict.UNCONFIRMED),
        replay.c.verdict == str(Verdict.NOT_SENT),
    )
    names = ("id", "verdict", "code", "verdict_us")
    bulk.update_rows(connection, replay, names, list(first.values()), unanswered)
    return {row.id for row in locked if row.scheduled}


def _scheduled(connection: Connection, replay_ids: Sequence[str]) -> set[str]:
    """Return those of the replays that the schedule asked for."""
    if not replay_ids:
        return set()
    mine = bulk.among(connection, replay.c.id, replay_ids)
    return set(connection.scalars(select(replay.c.id).where(mine, replay.c.scheduled)))


def _ends_in_quarantine(connection: Connection, decoded: Decoded) -> list[Unread]:
    """Return the resolutions of records with a message in quarantine: they wait there too, as that may open the entry again."""
    ends = {each.key: each.heard for each in decoded.entries if not all(heard.failed for heard in each.heard)}
    waiting = keys_in_quarantine(connection, ends) | {unread.message.key for unread in decoded.batch.unread}
    reason = "it may end a failure that is in quarantine"
    # of a bundle, which ends several, once
    messages = {
        id(heard.message): heard.message
        for key in ends.keys() & waiting
        for heard in ends[key]
        if not heard.failed
    }
    return [Unread(message, reason, newer=True) for message in messages.values()]
