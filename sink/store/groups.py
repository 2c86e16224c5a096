"""Reading groups of entries with one cause, and what goes on with them in the background."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    and_,
    bindparam,
    case,
    delete,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
    update,
)

from sink.groups import GROUPING_VERSION, GroupState, cause_of
from sink.states import CLOSED, State
from sink.store import bulk
from sink.store.counts import counted, relevant_entries
from sink.store.fixers import code_is_of
from sink.store.rates import read_group_rates
from sink.store.sightings import Causes, look_up, write_sightings
from sink.store.tables import UNGROUPED, entry, group

PAGE = 100
GroupKey = tuple[int, str]


class GroupOrder(StrEnum):
    """What comes first in a list of groups."""

    ENTRIES = "entries"
    LAST_SEEN = "last_seen"


@dataclass(frozen=True, slots=True)
class GroupFilter:
    """Which groups are meant, and in which order; an empty part leaves all. `text` stands in the message."""

    ids: tuple[str, ...] = ()
    states: tuple[GroupState, ...] = ()
    mappings: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    fixers: tuple[str, ...] = ()
    text: str | None = None
    # new or regressed since
    opened_after_us: int | None = None
    order: GroupOrder = GroupOrder.ENTRIES


@dataclass(frozen=True, slots=True)
class Group:
    """Entries with one cause. `states` counts them, `hours` are the failures of each of the last 24 hours, the oldest first.

    `resolved_us` is when the last of its entries was found closed, `regressed_us` when it came back after that.
    """

    id: str
    mapping: str
    direction: str
    category: str
    code: str
    message: str
    row_version: int
    state: GroupState
    relevant: int
    states: Mapping[State, int]
    first_seen_us: int
    last_seen_us: int
    resolved_us: int | None
    regressed_us: int | None
    muted_until_us: int | None
    muted_up_to: int | None
    muted_by: str | None
    hours: tuple[int, ...]

    @property
    def closed(self) -> int:
        """How many of its entries are over."""
        return sum(self.states.get(state, 0) for state in CLOSED)


def read_groups(
    connection: Connection,
    wanted: GroupFilter,
    after: GroupKey | None = None,
    limit: int = PAGE,
    *,
    now_us: int,
) -> list[Group]:
    """Return groups, those with the most relevant entries first; `after` is `group_key` of the last one of the page before."""
    query = _page(connection.engine, wanted, after, limit)
    rows = connection.execute(query, {"now_us": now_us}).all()
    ids = [row.id for row in rows]
    states = _states(connection, ids)
    hours = read_group_rates(connection, ids, now_us)
    return [_read(row, states.get(row.id, {}), hours.get(row.id, (0,) * 24)) for row in rows]


def group_key(last: Group, order: GroupOrder = GroupOrder.ENTRIES) -> GroupKey:
    """Return where the page after this group begins."""
    return last.relevant if order is GroupOrder.ENTRIES else last.last_seen_us, last.id


def read_group(connection: Connection, group_id: str, *, now_us: int) -> Group | None:
    """Return one group, None when there is no such."""
    found = read_groups(connection, GroupFilter(ids=(group_id,)), limit=1, now_us=now_us)
    return found[0] if found else None


def find_group_ids(connection: Connection, start: str, limit: int = 2) -> list[str]:
    """Return ids that begin with `start`, so that a person need not type all of it."""
    within = and_(group.c.id >= start, group.c.id < start + "\U0010ffff")
    return list(connection.scalars(select(group.c.id).where(within).order_by(group.c.id).limit(limit)))


def count_groups(connection: Connection, now_us: int) -> dict[GroupState, int]:
    """Return how many groups stand where."""
    query, _ = _query(connection.engine, GroupFilter())
    states = query.subquery()
    counts = select(states.c.state, func.count()).group_by(states.c.state)
    rows = connection.execute(counts, {"now_us": now_us})
    return {GroupState(state): number for state, number in rows}


def settle_groups(connection: Connection, now_us: int) -> int:
    """Mark groups whose entries are all closed as resolved, and open those that are not any more; returns how many changed."""
    counts = counted()
    number = relevant_entries(counts)
    open_ones = select(counts.c.group_id).group_by(counts.c.group_id).having(number > 0)
    ends = (group.c.resolved_us.is_(None), group.c.id.not_in(open_ones))
    # entries that were restored, or written in the very moment of the end
    begins = (group.c.resolved_us.is_not(None), group.c.id.in_(open_ones))
    ended: dict[str, Any] = {
        **dict.fromkeys(("regressed_us", "muted_until_us", "muted_up_to", "muted_by")),
        "resolved_us": now_us,
    }
    changed = 0
    for conditions, values in ((ends, ended), (begins, {"resolved_us": None})):
        chosen = select(group.c.id).where(*conditions).order_by(group.c.id)
        ids = list(connection.scalars(chosen.with_for_update(skip_locked=True)))
        if ids:
            one = update(group).where(bulk.among(connection, group.c.id, ids))
            connection.execute(one.values(**values, row_version=group.c.row_version + 1))
            changed += len(ids)
    return changed


def regroup(connection: Connection, limit: int) -> int:
    """Group entries of an older grouping anew, a small batch; returns how many."""
    columns = (
        *(entry.c.id, entry.c.mapping, entry.c.direction, entry.c.category, entry.c.code),
        *(entry.c.parameters, entry.c.message, entry.c.first_failed_us, entry.c.last_failed_us),
    )
    old = select(*columns).where(text(UNGROUPED)).order_by(entry.c.id).limit(limit)
    rows = connection.execute(old.with_for_update(skip_locked=True)).all()
    if not rows:
        return 0
    causes = Causes()
    groups = []
    for row in rows:
        parameters = orjson.loads(row.parameters)
        cause = cause_of(row.mapping, row.direction, row.category, row.code, parameters, row.message)
        causes.see(cause, row.first_failed_us, row.last_failed_us)
        groups.append((row.id, cause.id))
    sightings = look_up(connection, causes.seen.values())
    write_sightings(connection, sightings)
    changed = [(each, sightings.moved.get(key, key), GROUPING_VERSION) for each, key in groups]
    bulk.update_rows(connection, entry, ("id", "group_id", "group_version"), changed)
    return len(rows)


def purge_groups(connection: Connection, before_us: int, limit: int) -> int:
    """Delete groups without entries that were last seen before a time; returns how many."""
    counts = counted()
    total = func.sum(counts.c.entries)
    kept = select(counts.c.group_id).group_by(counts.c.group_id).having(total > 0)
    empty = (group.c.last_seen_us < before_us, group.c.id.not_in(kept))
    ids = select(group.c.id).where(*empty).limit(limit)
    return connection.execute(
        delete(group).where(group.c.id.in_(ids), group.c.last_seen_us < before_us)
    ).rowcount


# the same few pages are asked for again and again, and to make their statement takes as long as to run it
@lru_cache(maxsize=64)
def _page(engine: Engine, wanted: GroupFilter, after: GroupKey | None, limit: int) -> Select[Any]:
    query, first = _query(engine, wanted)
    if after is not None:
        query = query.where(tuple_(first, group.c.id) < tuple_(literal(after[0]), literal(after[1])))
    return query.order_by(first.desc(), group.c.id.desc()).limit(limit)


def _query(engine: Engine, wanted: GroupFilter) -> tuple[Select[Any], ColumnElement[int]]:
    """The groups that are meant, with what they come to at `now_us`, and by what they are sorted."""
    counts = counted()
    added_up = select(counts.c.group_id, relevant_entries(counts).label("relevant"))
    if wanted.ids:
        # the database would add all groups up
        added_up = added_up.where(bulk.among(engine, counts.c.group_id, wanted.ids))
    numbers = added_up.group_by(counts.c.group_id).subquery("numbers")
    relevant = func.coalesce(numbers.c.relevant, 0)
    state = _state(relevant)
    query = select(*group.columns, relevant.label("relevant"), state.label("state"))
    query = query.select_from(group.outerjoin(numbers, numbers.c.group_id == group.c.id))
    lists: Sequence[tuple[Any, Sequence[str]]] = (
        (group.c.id, wanted.ids),
        (group.c.mapping, wanted.mappings),
        (group.c.category, wanted.categories),
        (group.c.code, wanted.codes),
    )
    for column, values in lists:
        if values:
            query = query.where(bulk.among(engine, column, values))
    if wanted.states:
        query = query.where(state.in_([str(each) for each in wanted.states]))
    if wanted.fixers:
        query = query.where(code_is_of(engine, group.c.code, wanted.fixers))
    if wanted.text:
        query = query.where(group.c.message.icontains(wanted.text, autoescape=True))
    if wanted.opened_after_us is not None:
        since = wanted.opened_after_us
        query = query.where(or_(group.c.first_seen_us > since, group.c.regressed_us > since))
    first = relevant if wanted.order is GroupOrder.ENTRIES else group.c.last_seen_us
    return query, first


def _state(relevant: ColumnElement[int]) -> ColumnElement[str]:
    now_us = bindparam("now_us", type_=BigInteger)
    muted = and_(
        group.c.muted_by.is_not(None),
        or_(group.c.muted_until_us.is_(None), group.c.muted_until_us > now_us),
        or_(group.c.muted_up_to.is_(None), relevant <= group.c.muted_up_to),
    )
    return case(
        (relevant <= 0, str(GroupState.RESOLVED)),
        (muted, str(GroupState.MUTED)),
        (group.c.regressed_us.is_not(None), str(GroupState.REGRESSED)),
        else_=str(GroupState.OPEN),
    )


def _states(connection: Connection, ids: Sequence[str]) -> dict[str, dict[State, int]]:
    counts = counted()
    number = func.sum(counts.c.entries)
    query = select(counts.c.group_id, counts.c.state, number).group_by(counts.c.group_id, counts.c.state)
    found: dict[str, dict[State, int]] = {}
    for group_id, state, total in connection.execute(
        query.where(bulk.among(connection, counts.c.group_id, ids)).having(number > 0)
    ):
        found.setdefault(group_id, {})[State(state)] = int(total)
    return found


def _read(row: Row[Any], states: Mapping[State, int], hours: tuple[int, ...]) -> Group:
    return Group(
        id=row.id,
        mapping=row.mapping,
        direction=row.direction,
        category=row.category,
        code=row.code,
        message=row.message,
        row_version=row.row_version,
        state=GroupState(row.state),
        relevant=int(row.relevant),
        states=states,
        first_seen_us=row.first_seen_us,
        last_seen_us=row.last_seen_us,
        resolved_us=row.resolved_us,
        regressed_us=row.regressed_us,
        muted_until_us=row.muted_until_us,
        muted_up_to=row.muted_up_to,
        muted_by=row.muted_by,
        hours=hours,
    )
