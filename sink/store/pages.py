"""A page of entries out of millions: put together from the newest entries of each group that matches.

The counts know in which groups and states there are entries that match, however few, and an index has each of these in the
order of time. So a page takes the same time whether a filter leaves much or little.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    Subquery,
    and_,
    func,
    literal_column,
    select,
    true,
    union,
)

from plumbing.database import Bind
from sink.states import RELEVANT
from sink.store import bulk
from sink.store.counts import counted
from sink.store.filtering import (
    NEWEST_FIRST,
    Filter,
    PageKey,
    beyond,
    groups_that_say,
    has_ungrouped,
    kind,
    record_begins,
    times,
)
from sink.store.tables import entry

# longer pages are read as they come
BY_GROUP_UP_TO = 200
# SQLite sorts so many faster than it looks for them in the order of time
_SORTED_UP_TO = 20_000
_NEWEST_FOUND: tuple[ColumnElement[Any], ...] = (
    literal_column("last_failed_us").desc(),
    literal_column("id").desc(),
)


def is_by_group(connection: Connection, wanted: Filter) -> bool:
    """Whether the counts can tell where the entries are; without a filter the indexes over time serve."""
    if wanted.ids or wanted.records:
        return False
    by_time = not wanted.states or frozenset(wanted.states) == RELEVANT
    rest = replace(wanted, states=(), failed_after_us=None, failed_before_us=None, over_before_us=None)
    return not (by_time and rest == Filter()) and not has_ungrouped(connection)


def page_ids(connection: Connection, wanted: Filter, after: PageKey | None, limit: int) -> list[str]:
    """Return the ids of the newest entries that match, behind `after`."""
    if connection.dialect.name == "postgresql":
        return list(connection.scalars(_joined(connection.engine, wanted, after, limit)))
    return _sorted_ids(connection, wanted, after, limit)


def newest_by_kind(connection: Connection, wanted: Filter) -> Sequence[Row[str, str, int, int]]:
    """Return state, category, number and when the newest failed last, of entries that the counts alone can tell."""
    counts = counted()
    kinds = (counts.c.state, counts.c.category, counts.c.group_id)
    total = func.sum(counts.c.entries)
    query = select(*kinds, total.label("entries")).where(*kind(connection, counts, wanted))
    pairs = query.group_by(*kinds).having(total > 0).subquery("pairs")
    newest = (
        select(func.max(entry.c.last_failed_us))
        .where(entry.c.group_id == pairs.c.group_id, entry.c.state == pairs.c.state)
        .scalar_subquery()
    )
    of_pairs = select(pairs.c.state, pairs.c.category, pairs.c.entries, newest.label("newest")).subquery()
    by = (of_pairs.c.state, of_pairs.c.category)
    summed = select(*by, func.sum(of_pairs.c.entries), func.max(of_pairs.c.newest)).group_by(*by)
    return connection.execute(summed.order_by(*by)).all()


def _pairs(bind: Bind, wanted: Filter) -> Select[Any]:
    """The groups and states in which there are entries that match."""
    counts = counted()
    total = func.sum(counts.c.entries)
    query = select(counts.c.group_id, counts.c.state, total).where(*kind(bind, counts, wanted))
    if wanted.text is not None:
        query = query.where(counts.c.group_id.in_(groups_that_say(wanted.text)))
    return query.group_by(counts.c.group_id, counts.c.state).having(total > 0)


def _named(bind: Bind, wanted: Filter) -> ColumnElement[bool] | None:
    """The condition on entries that a text finds by their record."""
    if wanted.text is None:
        return None
    return and_(record_begins(bind, wanted.text), *kind(bind, entry, wanted))


# the same few pages are asked for again and again, and to make their statement takes as long as to run it
@lru_cache(maxsize=64)
def _joined(engine: Engine, wanted: Filter, after: PageKey | None, limit: int) -> Select[Any]:
    pairs, by_name = _pairs(engine, wanted), _named(engine, wanted)
    bounds = (*times(wanted), *beyond(after))
    # An entry of the page is in a pair whose newest entry is among the newest of all pairs.
    heads = _newest(pairs.subquery("pairs"), bounds, 1).order_by(*_NEWEST_FOUND).limit(limit)
    found = _newest(heads.subquery("heads"), bounds, limit).subquery("found")
    ids = select(found.c.last_failed_us, found.c.id)
    if by_name is not None:
        named = select(entry.c.last_failed_us, entry.c.id).where(by_name, *bounds)
        named_ids = named.order_by(*NEWEST_FIRST).limit(limit).subquery("named")
        ids = select(union(ids, select(named_ids)).subquery("either"))
    last = ids.order_by(*_NEWEST_FOUND).limit(limit).subquery("page")
    return select(last.c.id)


def _newest(pairs: Subquery, bounds: Sequence[ColumnElement[bool]], limit: int) -> Select[Any]:
    """The newest entries of each pair."""
    newest = (
        select(entry.c.last_failed_us, entry.c.id)
        .where(entry.c.group_id == pairs.c.group_id, entry.c.state == pairs.c.state, *bounds)
        .order_by(*NEWEST_FIRST)
        .limit(limit)
        .lateral(f"newest_of_{pairs.name}")
    )
    columns = (pairs.c.group_id, pairs.c.state, newest.c.last_failed_us, newest.c.id)
    return select(*columns).select_from(pairs.join(newest, true()))


def _sorted_ids(connection: Connection, wanted: Filter, after: PageKey | None, limit: int) -> list[str]:
    """The same where the database joins no lateral queries."""
    by_name, bounds = _named(connection, wanted), (*times(wanted), *beyond(after))
    found = connection.execute(_pairs(connection, wanted)).all()
    matching = and_(
        bulk.among(connection, entry.c.group_id, sorted({group_id for group_id, _, _ in found})),
        bulk.among(connection, entry.c.state, sorted({state for _, state, _ in found})),
    )
    few = sum(number for _, _, number in found) <= _SORTED_UP_TO
    # the sign keeps SQLite from the index over time
    moment = literal_column("+instep_entry.last_failed_us") if few else entry.c.last_failed_us
    query = select(entry.c.last_failed_us, entry.c.id).where(matching, *bounds)
    ids = connection.execute(query.order_by(moment.desc(), entry.c.id.desc()).limit(limit)).all()
    if by_name is not None:
        named = select(entry.c.last_failed_us, entry.c.id).where(by_name, *bounds)
        ids = [*ids, *connection.execute(named.order_by(*NEWEST_FIRST).limit(limit))]
    return [entry_id for _, entry_id in sorted({(at_us, key) for at_us, key in ids}, reverse=True)[:limit]]
