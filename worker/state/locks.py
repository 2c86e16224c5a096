"""Locks on records between the workers of a group: PostgreSQL's advisory locks, held for as long as a transaction."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, func, select, text

# a batch that touches more open failures locks all of their mapping: PostgreSQL has room for a few thousand locks in all
_LOCKS_AT_MOST = 256
_TAKE_EACH = text("select pg_advisory_xact_lock(key) from unnest(cast(:keys as bigint[])) as key")


class RecordLocks:
    """The locks of one lane. Where a worker has its state alone, in SQLite, there is nothing to lock."""

    def __init__(self, engine: Engine, group: str) -> None:
        self._engine = engine
        self._group = group
        self._held: dict[str, set[str]] = defaultdict(set)
        self.are_needed = engine.dialect.name == "postgresql"
        """Whether others may work on the same records."""

    @contextmanager
    def hold(self, mapping: str, records: AbstractSet[str]) -> Iterator[Connection | None]:
        """Hold the locks of these records until the block ends; those that are held already are not taken again.

        Yields the connection whose transaction holds them: what is written through it comes to nothing unless it is committed.
        None where there was nothing to take.
        """
        held = self._held[mapping]
        taken = records - held
        if not self.are_needed or not taken:
            yield None
            return
        with self._engine.connect() as connection:
            # else the database may have been told that a transaction sees nothing of what happened while it waited for a lock
            connection.execution_options(isolation_level="READ COMMITTED")
            self._take(connection, mapping, taken)
            held |= taken
            try:
                yield connection
            finally:
                held -= taken

    def _take(self, connection: Connection, mapping: str, records: Collection[str]) -> None:
        """Lock these records, or the whole mapping where they are many; nobody locks one of them meanwhile who goes this way."""
        whole = self._key(mapping)
        if len(records) > _LOCKS_AT_MOST:
            connection.execute(select(func.pg_advisory_xact_lock(whole)))
            return
        connection.execute(select(func.pg_advisory_xact_lock_shared(whole)))
        connection.execute(_TAKE_EACH, {"keys": sorted(self._key(mapping, each) for each in records)})

    def _key(self, mapping: str, *record_id: str) -> int:
        """Return the key of a record's lock, or of the whole mapping's without one."""
        digest = hashlib.sha256("\x1f".join((self._group, mapping, *record_id)).encode()).digest()
        return int.from_bytes(digest[:8], "big", signed=True)
