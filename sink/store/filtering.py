"""Which entries are meant: filters as conditions of queries."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    func,
    literal,
    or_,
    select,
    text,
    tuple_,
)

from plumbing.database import Bind
from sink.states import CLOSED, RELEVANT, State
from sink.store import bulk
from sink.store.counts import counted
from sink.store.fixers import code_is_of
from sink.store.rows import name
from sink.store.tables import CLOSED_STATES, RELEVANT_STATES, entry, group

PageKey = tuple[int, str]
NEWEST_FIRST = (entry.c.last_failed_us.desc(), entry.c.id.desc())
# the parts of a filter that the counts know
_COUNTED = ("states", "mappings", "categories", "codes", "groups", "fixers")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are meant; an empty part leaves all. Times are microseconds since 1970.

    `failed_*` look at the last failure, `over_before_us` at when the entry was closed (for a relevant one: last failed).
    `fixers` are who can put it right, as the catalogue says (user, admin, developer, nobody). `text` stands in the message
    of the entry's group, or the record's id begins with it.
    """

    ids: tuple[str, ...] = ()
    states: tuple[State, ...] = ()
    mappings: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    records: tuple[str, ...] = ()
    failed_after_us: int | None = None
    failed_before_us: int | None = None
    over_before_us: int | None = None
    groups: tuple[str, ...] = ()
    fixers: tuple[str, ...] = ()
    text: str | None = None


def matching(connection: Connection, query: Select[Any], wanted: Filter) -> Select[Any]:
    """Return the query restricted to the entries that are meant."""
    if wanted.ids:
        query = query.where(bulk.among(connection, entry.c.id, wanted.ids))
    if wanted.records:
        records = [name(each) for each in wanted.records]
        query = query.where(bulk.among(connection, entry.c.record_id, records))
    if wanted.text is not None:
        said = entry.c.group_id.in_(groups_that_say(wanted.text))
        query = query.where(or_(record_begins(connection, wanted.text), said))
    return query.where(*kind(connection, entry, wanted), *times(wanted))


def kind(bind: Bind, of: FromClause, wanted: Filter) -> list[ColumnElement[bool]]:
    """Return the conditions on what entries and counts both have: state, mapping, category, code, group, and whose it is."""
    conditions = []
    if wanted.states and frozenset(wanted.states) == RELEVANT:
        # written out, so that the database sees that the indexes over relevant entries will do
        conditions.append(and_(text(f"{of.description}.{RELEVANT_STATES}")))
    elif wanted.states and frozenset(wanted.states) == CLOSED:
        conditions.append(and_(text(f"{of.description}.{CLOSED_STATES}")))
    elif wanted.states:
        conditions.append(bulk.among(bind, of.c.state, [str(state) for state in wanted.states]))
    for column, values in (
        (of.c.mapping, wanted.mappings),
        (of.c.category, wanted.categories),
        (of.c.code, wanted.codes),
        (of.c.group_id, wanted.groups),
    ):
        if values:
            conditions.append(bulk.among(bind, column, values))
    if wanted.fixers:
        conditions.append(code_is_of(bind, of.c.code, wanted.fixers))
    return conditions


def times(wanted: Filter) -> list[ColumnElement[bool]]:
    """Return the conditions on when entries failed, or were over."""
    conditions = []
    if wanted.failed_after_us is not None:
        conditions.append(entry.c.last_failed_us >= wanted.failed_after_us)
    if wanted.failed_before_us is not None:
        conditions.append(entry.c.last_failed_us < wanted.failed_before_us)
    if wanted.over_before_us is not None:
        closed = bool(wanted.states) and CLOSED.issuperset(wanted.states)
        ages_from_us: ColumnElement[Any] = entry.c.ages_from_us
        if not closed:
            ages_from_us = func.coalesce(ages_from_us, entry.c.last_failed_us)
        conditions.append(ages_from_us < wanted.over_before_us)
    return conditions


def beyond(after: PageKey | None) -> list[ColumnElement[bool]]:
    """Return the condition that an entry comes after the last one of a page."""
    if after is None:
        return []
    return [tuple_(entry.c.last_failed_us, entry.c.id) < tuple_(literal(after[0]), literal(after[1]))]


def groups_that_say(said: str) -> Select[Any]:
    """Return the ids of groups with a text in their message, in upper or lower case."""
    return select(group.c.id).where(group.c.message.icontains(said, autoescape=True))


def record_begins(bind: Bind, start: str) -> ColumnElement[bool]:
    """Return the condition that a record's id begins with a text, as an index can tell it."""
    if bind.dialect.name == "postgresql":
        return entry.c.record_id.startswith(name(start), autoescape=True)
    return and_(entry.c.record_id >= name(start), entry.c.record_id < name(start) + "\U0010ffff")


def count_matching(connection: Connection, wanted: Filter) -> int | None:
    """Return how many entries match, by the counts alone; None where these cannot tell."""
    if not counts_tell(connection, wanted):
        return None
    counts = counted()
    query = select(func.sum(counts.c.entries)).where(*kind(connection, counts, wanted))
    return int(connection.scalar(query) or 0)


def counts_tell(connection: Connection, wanted: Filter) -> bool:
    """Whether the counts alone can tell how many entries match."""
    by_counts = replace(Filter(), **{each: getattr(wanted, each) for each in _COUNTED})
    return wanted == by_counts and not has_ungrouped(connection)


def has_ungrouped(connection: Connection) -> bool:
    """Whether there are entries, of an older program, that have no group yet."""
    return bool(connection.scalar(_any_ungrouped()))


@cache
def _any_ungrouped() -> Select[Any]:
    counts = counted()
    return select(select(counts.c.entries).where(counts.c.group_id == "").exists())
