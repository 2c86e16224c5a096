"""Failures and resolutions over time, and what the workers did: small numbers by quarter of an hour."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection, and_, func, select

from schemas.events import SyncProgress
from sink.moment import to_us
from sink.store import bulk
from sink.store.progress import PAUSE_HOLDS_US
from sink.store.rows import clean, name
from sink.store.tables import group_rate, progress_slot, rate, worker_progress

MINUTE_US = 60_000_000
SLOT_US = 15 * MINUTE_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

_ADD_RATE = "UPDATE SET failed = instep_rate.failed + excluded.failed, resolved = instep_rate.resolved + excluded.resolved"
_ADD_GROUP_RATE = "UPDATE SET failed = instep_group_rate.failed + excluded.failed"
_EPOCH = ("worker", "mapping", "direction", "started_us")


@dataclass(slots=True)
class Happened:
    """What a batch counts: failures and resolutions by slot and mapping, failures by hour and group."""

    failed: Counter[tuple[int, str]] = field(default_factory=Counter)
    resolved: Counter[tuple[int, str]] = field(default_factory=Counter)
    of_groups: Counter[tuple[str, int]] = field(default_factory=Counter)

    def count(self, slot_us: int, mapping: str, failed: int, resolved: int) -> None:
        """Add what happened to one entry."""
        if failed:
            self.failed[slot_us, mapping] += failed
        if resolved:
            self.resolved[slot_us, mapping] += resolved

    def move(self, groups: Mapping[str, str]) -> None:
        """Count for other groups, by the ids of those before."""
        counted = self.of_groups
        self.of_groups = Counter()
        for (group_id, hour_us), number in counted.items():
            self.of_groups[groups.get(group_id, group_id), hour_us] += number


@dataclass(frozen=True, slots=True)
class Rate:
    """What happened within SLOT_US from `slot_us` on."""

    slot_us: int
    failed: int
    resolved: int


@dataclass(frozen=True, slots=True)
class Rates:
    """Slots in order, without gaps, the last one not over yet; `mappings` has the failures of each mapping in them."""

    slots: tuple[Rate, ...]
    mappings: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """One mapping in one direction. The outcomes are by name, those of the last hour and day to a quarter of an hour.

    `lag_records` is None where no worker that was heard of lately knows it; `workers` are those heard of lately.
    """

    mapping: str
    direction: str
    last_hour: Mapping[str, int]
    last_day: Mapping[str, int]
    lag_records: int | None
    paused_code: str | None
    seen_us: int
    workers: tuple[str, ...]


def slot_of(moment_us: int, length_us: int = SLOT_US) -> int:
    """Return where the slot begins that a moment lies in."""
    return moment_us - moment_us % length_us


def write_rates(connection: Connection, happened: Happened, source: str) -> None:
    """Add what a batch counted; `source` is the partition it came from."""
    keys = sorted(happened.failed.keys() | happened.resolved.keys())
    rows = [
        (slot, mapping, source, happened.failed[slot, mapping], happened.resolved[slot, mapping])
        for slot, mapping in keys
    ]
    bulk.upsert_rows(connection, rate, ("slot_us", "mapping", "source"), rows, _ADD_RATE)
    of_groups = [
        (group_id, slot, source, number) for (group_id, slot), number in sorted(happened.of_groups.items())
    ]
    bulk.upsert_rows(connection, group_rate, ("group_id", "slot_us", "source"), of_groups, _ADD_GROUP_RATE)


def read_rates(connection: Connection, since_us: int, now_us: int) -> Rates:
    """Return what happened from the slot of a moment on."""
    start = slot_of(since_us)
    columns = (rate.c.slot_us, rate.c.mapping)
    query = select(*columns, func.sum(rate.c.failed), func.sum(rate.c.resolved)).where(
        rate.c.slot_us >= start
    )
    failed: Counter[int] = Counter()
    resolved: Counter[int] = Counter()
    mappings: Counter[str] = Counter()
    for slot, mapping, more_failed, more_resolved in connection.execute(query.group_by(*columns)):
        failed[slot] += int(more_failed)
        resolved[slot] += int(more_resolved)
        mappings[mapping] += int(more_failed)
    slots = (Rate(slot, failed[slot], resolved[slot]) for slot in range(start, now_us + 1, SLOT_US))
    return Rates(tuple(slots), dict(mappings))


def read_group_rates(
    connection: Connection, group_ids: Sequence[str], now_us: int
) -> dict[str, tuple[int, ...]]:
    """Return the failures of each group in each of the last 24 hours, the oldest first; groups without any are missing."""
    start = slot_of(now_us, HOUR_US) - DAY_US + HOUR_US
    columns = (group_rate.c.group_id, group_rate.c.slot_us)
    query = select(*columns, func.sum(group_rate.c.failed)).where(
        bulk.among(connection, group_rate.c.group_id, group_ids), group_rate.c.slot_us >= start
    )
    found: dict[str, list[int]] = {}
    for group_id, slot, failed in connection.execute(query.group_by(*columns)):
        hour = (slot - start) // HOUR_US
        if hour < DAY_US // HOUR_US:
            found.setdefault(group_id, [0] * (DAY_US // HOUR_US))[hour] = int(failed)
    return {group_id: tuple(hours) for group_id, hours in found.items()}


def write_progress_slots(connection: Connection, progress: Iterable[SyncProgress]) -> None:
    """Keep what the workers had counted by the end of each slot."""
    rows = {}
    for each in progress:
        key = (
            slot_of(to_us(each.at)),
            name(each.worker),
            name(each.mapping),
            name(each.direction),
            to_us(each.started_at),
        )
        rows[key] = (*key, clean(orjson.dumps(dict(each.counts)).decode()))
    key_names = ("slot_us", *_EPOCH)
    bulk.upsert_rows(
        connection, progress_slot, key_names, list(rows.values()), "UPDATE SET counts = excluded.counts"
    )


def read_sync_status(connection: Connection, now_us: int) -> list[SyncStatus]:
    """Return every mapping and direction that a worker told of, by name."""
    hour = _done_since(connection, now_us - HOUR_US)
    day = _done_since(connection, now_us - DAY_US)
    told: dict[tuple[str, str], list[Any]] = {}
    for row in connection.execute(select(worker_progress).order_by(worker_progress.c.at_us)):
        told.setdefault((row.mapping, row.direction), []).append(row)
    return [_status(key, rows, hour, day, now_us) for key, rows in sorted(told.items())]


def _status(
    key: tuple[str, str],
    rows: Sequence[Any],
    hour: Mapping[tuple[str, str], Counter[str]],
    day: Mapping[tuple[str, str], Counter[str]],
    now_us: int,
) -> SyncStatus:
    lately = [row for row in rows if row.at_us > now_us - PAUSE_HOLDS_US]
    lags = [row.lag_records for row in lately if row.lag_records is not None]
    paused = [row.paused_code for row in lately if row.paused_code is not None]
    return SyncStatus(
        *key,
        last_hour=dict(hour.get(key, {})),
        last_day=dict(day.get(key, {})),
        lag_records=sum(lags) if lags else None,
        paused_code=paused[-1] if paused else None,
        seen_us=rows[-1].at_us,
        workers=tuple(sorted(row.worker for row in lately)),
    )


def _done_since(connection: Connection, since_us: int) -> dict[tuple[str, str], Counter[str]]:
    """Return the outcomes by mapping and direction: each run of a worker counts from 0, so its last count less an earlier one."""
    start = slot_of(since_us)
    last = _counts(connection, func.max(progress_slot.c.slot_us), progress_slot.c.slot_us >= start)
    before = _counts(connection, func.max(progress_slot.c.slot_us), progress_slot.c.slot_us < start)
    # of a run that began before the first slot that is kept, only what came since can be told
    first = _counts(connection, func.min(progress_slot.c.slot_us), progress_slot.c.slot_us >= start)
    done: dict[tuple[str, str], Counter[str]] = {}
    for run, counts in last.items():
        _, mapping, direction, started_us = run
        earlier = before.get(run, {} if started_us >= start else first[run])
        more = {outcome: max(0, number - earlier.get(outcome, 0)) for outcome, number in counts.items()}
        done.setdefault((mapping, direction), Counter()).update(more)
    return done


def _counts(
    connection: Connection, chosen: Any, condition: Any
) -> dict[tuple[str, str, str, int], dict[str, int]]:
    run = [progress_slot.c[each] for each in _EPOCH]
    slots = select(*run, chosen.label("slot_us")).where(condition).group_by(*run).subquery()
    same = and_(*(progress_slot.c[each] == slots.c[each] for each in (*_EPOCH, "slot_us")))
    rows = connection.execute(select(*run, progress_slot.c.counts).join(slots, same))
    return {
        (row.worker, row.mapping, row.direction, row.started_us): orjson.loads(row.counts) for row in rows
    }
