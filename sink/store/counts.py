"""How many entries there are: kept by the database itself, so that nobody has to count them."""

from functools import cache

from sqlalchemy import ColumnElement, Connection, Subquery, delete, func, select, text, union_all

from sink.store.tables import RELEVANT_STATES, entry, tally, tally_change

NAMES = ("mapping", "category", "code", "state", "group_id")
_CHANGES_AT_ONCE = 50_000
# one sink at a time adds up; the number is any that no other lock has
_FOLD_LOCK = 4_708_001


@cache
def counted() -> Subquery:
    """The counts as rows of NAMES and `entries`, which are to be summed: the tally, and what is not added to it yet."""
    # kept, as SQLAlchemy takes long to find out what columns it has
    parts = (select(*(table.c[name] for name in NAMES), table.c.entries) for table in (tally, tally_change))
    return union_all(*parts).subquery("counted")


def fold_counts(connection: Connection) -> int:
    """Add the noted changes to the tally; returns how many notes. Nothing to do on SQLite, or while another sink does it."""
    if connection.dialect.name != "postgresql" or not _is_alone(connection):
        return 0
    return int(connection.scalar(text(_fold_statement()), {"at_once": _CHANGES_AT_ONCE}) or 0)


def drop_empty_counts(connection: Connection) -> None:
    """Remove rows of the tally that count nothing any more."""
    if connection.dialect.name != "postgresql" or _is_alone(connection):
        connection.execute(delete(tally).where(tally.c.entries == 0))


def read_oldest(connection: Connection) -> dict[str, int]:
    """Return when the oldest relevant entry of each mapping failed first, by index."""
    mappings = select(tally.c.mapping).union(select(tally_change.c.mapping)).subquery("mappings")
    first = (
        select(func.min(entry.c.first_failed_us))
        # written out, so that the database sees that the index over relevant entries will do
        .where(entry.c.mapping == mappings.c.mapping, text(RELEVANT_STATES))
        .scalar_subquery()
    )
    rows = connection.execute(select(mappings.c.mapping, first))
    return {mapping: first_us for mapping, first_us in rows if first_us is not None}


def relevant_entries(counts: Subquery) -> ColumnElement[int]:
    """The sum of the relevant entries among counts."""
    return func.coalesce(func.sum(counts.c.entries).filter(text(RELEVANT_STATES)), 0)


def _is_alone(connection: Connection) -> bool:
    return bool(connection.scalar(select(func.pg_try_advisory_xact_lock(_FOLD_LOCK))))


def _fold_statement() -> str:
    names = ", ".join(NAMES)
    # A change of an entry is noted under a greater id than the change before it: adding up from the least id on never
    # takes away what was not added yet.
    return f"""
        WITH taken AS (
            DELETE FROM instep_tally_change WHERE id IN (
                SELECT id FROM instep_tally_change ORDER BY id LIMIT :at_once
            ) RETURNING {names}, entries
        ), added AS (
            INSERT INTO instep_tally ({names}, entries)
            SELECT {names}, sum(entries) FROM taken GROUP BY {names} HAVING sum(entries) <> 0
            ON CONFLICT ({names}) DO UPDATE SET entries = instep_tally.entries + excluded.entries
        )
        SELECT count(*) FROM taken
        """  # noqa: S608  our own names
