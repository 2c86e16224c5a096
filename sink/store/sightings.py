"""Causes as a batch comes upon them: their groups are made, brought up to date, and come back when they were resolved."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, func, select, update

from schemas.events import ALL_MAPPINGS, SyncFailed
from sink.groups import GROUPING_VERSION, GROUPS_OF_A_MAPPING, Cause, cause_of, other_causes
from sink.store import bulk
from sink.store.rows import clean, name
from sink.store.tables import group

NEW, REGRESSED = "new", "regressed"
# a group that keeps failing is written to no more often
_TOUCH_EVERY_US = 10_000_000
_INSERT_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Sighting:
    """A cause, and when its first and last failure in a batch were."""

    cause: Cause
    first_us: int
    last_us: int


@dataclass(slots=True)
class Causes:
    """The causes of a batch of failures; of most of them the next one has the same, so each is made out once."""

    seen: dict[str, Sighting] = field(default_factory=dict)
    _by_words: dict[tuple[object, ...], Cause] = field(default_factory=dict)

    def cause_of(self, failure: SyncFailed) -> Cause:
        """Return the cause of a failure."""
        kind = (failure.mapping, failure.direction, failure.category, failure.code)
        words = (*kind, *failure.parameters.items(), failure.message)
        cause = self._by_words.get(words)
        if cause is None:
            cause = self._by_words[words] = cause_of(*kind, failure.parameters, failure.message)
        return cause

    def see(self, cause: Cause, first_us: int, last_us: int) -> None:
        """Note when a cause was met."""
        before = self.seen.get(cause.id)
        if before is not None:
            if before.first_us <= first_us and last_us <= before.last_us:
                return
            first_us, last_us = min(first_us, before.first_us), max(last_us, before.last_us)
        self.seen[cause.id] = Sighting(cause, first_us, last_us)


@dataclass(frozen=True, slots=True)
class Sightings:
    """What a batch says of groups: those to make, those that stand there, and causes that go to another group."""

    new: tuple[Sighting, ...]
    known: tuple[tuple[Sighting, Any], ...]
    moved: Mapping[str, str]


def look_up(connection: Connection, seen: Iterable[Sighting]) -> Sightings:
    """Return which groups are there already; a mapping's causes beyond the bound go to the group of the others."""
    by_id = {each.cause.id: each for each in seen}
    there = _read(connection, by_id)
    fresh = [each for group_id, each in by_id.items() if group_id not in there]
    moved: dict[str, str] = {}
    if fresh:
        kept, beyond = _within_bound(connection, fresh)
        if beyond:
            others = _others(beyond)
            moved = {each.cause.id: other_causes(each.cause).id for each in beyond}
            there |= _read(connection, others)
            by_id = {key: each for key, each in by_id.items() if key not in moved} | others
            kept += [each for key, each in others.items() if key not in there]
        fresh = kept
    known = tuple((each, there[key]) for key, each in by_id.items() if key in there)
    return Sightings(tuple(fresh), known, moved)


def write_sightings(connection: Connection, seen: Sightings) -> Counter[str]:
    """Make and bring up to date what `look_up` found; returns how many groups of records are NEW or REGRESSED."""
    back = [(each, row) for each, row in seen.known if row.resolved_us is not None]
    touched = [
        (each.cause.id, each.last_us)
        for each, row in seen.known
        if each.last_us > row.last_seen_us + (_TOUCH_EVERY_US if row.resolved_us is None else 0)
    ]
    opened = Counter({NEW: _insert(connection, seen.new)})
    changing = {each.cause.id for each, _ in back} | {group_id for group_id, _ in touched}
    if changing:
        # always in the order of ids: two that change the same groups cannot wait for each other
        locked = select(group.c.id).where(bulk.among(connection, group.c.id, sorted(changing)))
        connection.execute(locked.order_by(group.c.id).with_for_update())
    bulk.update_rows(connection, group, ("id", "last_seen_us"), touched)
    if back:
        opened[REGRESSED] = _bring_back(connection, back)
    return +opened


def _bring_back(connection: Connection, back: Sequence[tuple[Sighting, Any]]) -> int:
    regressed = 0
    # a failure from before the end opens the group, but it did not come back
    for newer in (True, False):
        ids = [each.cause.id for each, row in back if (each.last_us > row.resolved_us) is newer]
        if not ids:
            continue
        values: dict[str, Any] = {"resolved_us": None, "row_version": group.c.row_version + 1}
        if newer:
            values["regressed_us"] = group.c.last_seen_us
        changed = update(group).where(
            bulk.among(connection, group.c.id, ids), group.c.resolved_us.is_not(None)
        )
        brought = _of_records(connection.scalars(changed.values(**values).returning(group.c.mapping)))
        regressed += brought if newer else 0
    return regressed


def _read(connection: Connection, ids: Iterable[str]) -> dict[str, Any]:
    columns = (group.c.id, group.c.last_seen_us, group.c.resolved_us)
    query = select(*columns).where(bulk.among(connection, group.c.id, list(ids)))
    return {row.id: row for row in connection.execute(query)}


def _within_bound(connection: Connection, fresh: Sequence[Sighting]) -> tuple[list[Sighting], list[Sighting]]:
    mappings = sorted({name(each.cause.mapping) for each in fresh})
    counts = select(group.c.mapping, func.count()).where(bulk.among(connection, group.c.mapping, mappings))
    number: Counter[str] = Counter(dict(connection.execute(counts.group_by(group.c.mapping)).all()))
    kept: list[Sighting] = []
    beyond: list[Sighting] = []
    for each in fresh:
        mapping = name(each.cause.mapping)
        number[mapping] += 1
        (kept if number[mapping] <= GROUPS_OF_A_MAPPING else beyond).append(each)
    return kept, beyond


def _others(beyond: Sequence[Sighting]) -> dict[str, Sighting]:
    others: dict[str, Sighting] = {}
    for each in beyond:
        other = other_causes(each.cause)
        known = others.get(other.id)
        others[other.id] = replace(
            each,
            cause=other,
            first_us=min(each.first_us, each.first_us if known is None else known.first_us),
            last_us=max(each.last_us, each.last_us if known is None else known.last_us),
        )
    return others


def _insert(connection: Connection, new: Sequence[Sighting]) -> int:
    inserted = 0
    rows = sorted(map(_row, new), key=lambda row: str(row["id"]))
    for chunk in _chunks(rows):
        statement = bulk.insert_of(connection)(group).values(chunk).on_conflict_do_nothing()
        inserted += _of_records(connection.scalars(statement.returning(group.c.mapping)))
    return inserted


def _of_records(mappings: Iterable[str]) -> int:
    # an app that is gone is told by its pause: it is no cause for anybody to look into
    return sum(mapping != ALL_MAPPINGS for mapping in mappings)


def _row(seen: Sighting) -> dict[str, Any]:
    cause = seen.cause
    return {
        "id": cause.id,
        "version": GROUPING_VERSION,
        "mapping": name(cause.mapping),
        "direction": name(cause.direction),
        "category": name(cause.category),
        "code": name(cause.code),
        "message": clean(cause.message),
        "row_version": 0,
        "first_seen_us": seen.first_us,
        "last_seen_us": seen.last_us,
    }


def _chunks(rows: Sequence[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    return (rows[start : start + _INSERT_AT_ONCE] for start in range(0, len(rows), _INSERT_AT_ONCE))
