"""The rows that the events of a batch come to, and what is counted on the way. Opens nothing.

Most entries of a batch are often new and failed once. What they come to does not depend on the store, so that it
is made while the batch before is written.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sink.batch import INSTEP, LETTER, Batch, EntryEvents
from sink.fold import Folded, Heard, Settled, Standing, fold, may_repeat, with_decoded
from sink.groups import Cause
from sink.moment import to_us
from sink.states import ResolvedBy
from sink.store.rates import HOUR_US, Happened, slot_of
from sink.store.rows import ENTRY_COLUMNS, closed_row, entry_row, name, noted_row, payload_row
from sink.store.sightings import Causes

_ROW_VERSION = ENTRY_COLUMNS.index("row_version")
_GROUP_ID = ENTRY_COLUMNS.index("group_id")


class Lifetime(NamedTuple):
    """How long an entry was open that an event closed."""

    mapping: str
    how: ResolvedBy
    seconds: float


class Known(NamedTuple):
    """An entry in the store, locked."""

    standing: Standing
    row_version: int
    payload_id: str | None


class Shown(NamedTuple):
    """The rows of an entry that shows a new failure, and its cause. A named tuple, as one is made for each failure."""

    entry: tuple[Any, ...]
    payload: tuple[Any, ...] | None
    cause: Cause
    failed_us: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the entries that failed once come to if the store has none of them yet, by their ids."""

    causes: Causes = field(default_factory=Causes)
    fresh: dict[str, tuple[Folded, Shown | None]] = field(default_factory=dict)

    def add(self, events: EntryEvents, now_us: int) -> None:
        """Make the rows of an entry if it failed once."""
        if len(events.heard) == 1 and events.heard[0].failed:
            folded = fold(None, events.heard)
            self.fresh[events.entry_id] = folded, _show(events, folded, self.causes, now_us)


@dataclass(slots=True)
class BatchRows:
    """The rows that the folds of a batch come to; `all_failures` decodes every failure before it is folded."""

    batch: Batch
    prepared: Prepared
    now_us: int
    all_failures: bool
    inserts: list[tuple[Any, ...]] = field(default_factory=list)
    updates: list[tuple[Any, ...]] = field(default_factory=list)
    noted: list[tuple[Any, ...]] = field(default_factory=list)
    closed: list[tuple[Any, ...]] = field(default_factory=list)
    payloads: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    settled: list[Settled] = field(default_factory=list)
    lifetimes: list[Lifetime] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    happened: Happened = field(default_factory=Happened)

    def move_to_others(self, moved: Mapping[str, str]) -> None:
        """Give entries of causes beyond the bound to the group of the others."""
        if not moved:
            return
        for listed in (self.inserts, self.updates):
            listed[:] = [
                (*row[:_GROUP_ID], moved.get(row[_GROUP_ID], row[_GROUP_ID]), *row[_GROUP_ID + 1 :])
                for row in listed
            ]
        self.happened.move(moved)


def fold_entry(events: EntryEvents, known: Known | None, rows: BatchRows) -> None:
    """Add what the events of one entry come to."""
    fresh = None if rows.all_failures or known is not None else rows.prepared.fresh.get(events.entry_id)
    folded, shown = fresh or _fold(events, known, rows)
    _count(folded, rows.counts, LETTER if events.origin != INSTEP else "failed")
    # a job may still wait for the verdict of a replay whose entry was cleared
    rows.settled += folded.settled
    if folded.standing is None:
        return
    if shown is not None:
        _take_shown(shown, known, rows)
    elif folded.closing is not None:
        rows.closed.append(closed_row(events.entry_id, _version(known), folded.standing, folded))
    elif known is None or folded.standing is not known.standing:
        rows.noted.append(noted_row(events.entry_id, _version(known), folded.standing))
    _note_times(events, folded, folded.standing, shown, known, rows)


def _fold(events: EntryEvents, known: Known | None, rows: BatchRows) -> tuple[Folded, Shown | None]:
    before = None if known is None else known.standing
    heard: Sequence[Heard] = events.heard
    # what was decoded without knowing the entry is right unless the entry has heard of a part
    if rows.all_failures or (before is not None and may_repeat(before, heard)):
        heard = with_decoded(before, heard, rows.batch.decode, all_failures=rows.all_failures)
    folded = fold(before, heard)
    return folded, _show(events, folded, rows.prepared.causes, rows.now_us)


def _show(events: EntryEvents, folded: Folded, causes: Causes, now_us: int) -> Shown | None:
    """Return the rows of an entry that shows a new failure, None when it shows none."""
    failure, standing = folded.failure, folded.standing
    if failure is None or standing is None:
        return None
    message = None if failure.original is None else payload_row(failure.original, now_us)
    cause = causes.cause_of(failure)
    row = entry_row(
        events.entry_id,
        events.key,
        folded,
        standing,
        failure,
        None if message is None else message[0],
        origin=events.origin,
        group_id=cause.id,
    )
    return Shown(row, message, cause, to_us(failure.failed_at))


def _take_shown(shown: Shown, known: Known | None, rows: BatchRows) -> None:
    row, message, cause, failed_us = shown
    if message is not None and (known is None or known.payload_id != message[0]):
        rows.payloads[message[0]] = message
    rows.prepared.causes.see(cause, failed_us, failed_us)
    if known is None:
        rows.inserts.append(row)
    else:
        rows.updates.append((*row[:_ROW_VERSION], _version(known), *row[_ROW_VERSION + 1 :]))


def _version(known: Known | None) -> int:
    return 0 if known is None else known.row_version + 1


def _note_times(
    events: EntryEvents,
    folded: Folded,
    standing: Standing,
    shown: Shown | None,
    known: Known | None,
    rows: BatchRows,
) -> None:
    mapping = Batch.mapping_of(events.key)
    for how, us in folded.lifetimes:
        rows.lifetimes.append(Lifetime(mapping, how, us / 1e6))
    failures = standing.count - (0 if known is None else known.standing.count)
    slot_us = slot_of(min(events.heard[-1].at_ms * 1000, rows.now_us))
    rows.happened.count(slot_us, name(mapping), failures, folded.resolved)
    if shown is not None:
        hour_us = slot_of(min(shown.failed_us, rows.now_us), HOUR_US)
        rows.happened.of_groups[shown.cause.id, hour_us] += failures


def _count(folded: Folded, counts: Counter[tuple[str, str]], what: str) -> None:
    # nought is most of them, and a counter takes its time
    if folded.new:
        counts[what, "new"] += folded.new
    if folded.repeats:
        counts[what, "repeat"] += folded.repeats
    if folded.resolved:
        counts["resolved", "new"] += folded.resolved
    if folded.unknown:
        counts["resolved", "repeat"] += folded.unknown
