"""Write a bulk to MariaDB or MySQL: one INSERT of many rows, straight into the table where that is safe.

INSERT … ON DUPLICATE KEY UPDATE goes by whichever unique index is hit first and would silently overwrite another
record. It is used only where the key's own is the table's only unique index; elsewhere the rows are staged, the
ones that are there are updated through a join, the others inserted.
"""

# ruff: noqa: S608  the parts of these statements are quoted names, our own words and numbers

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR
from typing import Any

import pymysql
from pymysql.connections import Connection

from worker.connectors.sql import plan as sql
from worker.connectors.sql.errors import Diagnosis, TransactionLostError
from worker.connectors.sql.exact import Holds
from worker.connectors.sql.mariadb import access, catalog
from worker.connectors.sql.mariadb.errors import diagnose
from worker.connectors.sql.mariadb.literals import literal_rows
from worker.connectors.sql.plan import Flavour, Plan
from worker.connectors.sql.quoting import backquoted
from worker.connectors.sql.table import Batch, Counts, Table
from worker.fault import Fault


def _exact(expression: str, cast: str | None) -> str:
    return f"BINARY {expression}" if cast else expression


FLAVOUR = Flavour(backquoted, "<=>", _exact, joins_in_update=True, parameter="%s")
_DUPLICATES = re.compile(rb"Duplicates: (\d+)")
_ROOM_FOR_STATEMENT = 0.9
_LONGEST = dt.timedelta(hours=839) - dt.timedelta.resolution
_NO_SUCH_SAVEPOINT = 1305


class MariadbBulk:
    """The effects on one connection to MariaDB or MySQL, in the order that the write asks for them."""

    flavour = FLAVOUR
    holds = Holds(clock=(-_LONGEST, _LONGEST))
    errors = (pymysql.err.MySQLError,)

    def __init__(self, connection: "Connection[Any]") -> None:
        self._connection = connection
        self._packet_bytes = int(self._rows("SELECT @@max_allowed_packet")[0][0] * _ROOM_FOR_STATEMENT)
        self._is_mariadb = "MariaDB" in str(self._rows("SELECT version()")[0][0])
        self._stages: set[str] = set()
        self._filled: set[str] = set()
        self._timeouts = ("innodb_lock_wait_timeout", "max_statement_time")[: 2 if self._is_mariadb else 1]
        self._usual: Sequence[Any] = ()

    def diagnose(self, error: Exception) -> Diagnosis:
        """Return what an error of the driver means."""
        return diagnose(error)

    def describe(self, entity: str) -> Table | None:
        """Return the description of a table, None if there is none."""
        return catalog.describe(self._connection, entity, is_mariadb=self._is_mariadb)

    def fingerprint(self, table: Table) -> str:
        """Return what changes whenever the definition of the table does."""
        return catalog.fingerprint(self._connection, table.name)

    def prepare(self, plan: Plan) -> None:
        """Nothing yet: the temporary tables are created when first needed."""

    def forget(self, plan: Plan) -> None:
        """Drop the temporary tables of a plan."""
        for name in (plan.stage, plan.drops):
            if name in self._stages:
                self._execute(f"DROP TEMPORARY TABLE {name}")
                self._stages.discard(name)

    def begin(self) -> None:
        """The server begins a transaction by itself."""

    def limit(self, *, lock_ms: int, statement_ms: int) -> None:
        """Set shorter time-outs until the end of the transaction; locks are waited for in whole seconds."""
        self._usual = self._rows(f"SELECT {', '.join('@@' + name for name in self._timeouts)}")[0]
        self._set_timeouts((max(1, lock_ms // 1000), statement_ms / 1000))

    def _set_timeouts(self, values: Sequence[Any]) -> None:
        for name, value in zip(self._timeouts, values, strict=False):
            self._execute(f"SET SESSION {name} = %s", (value,))

    def _end(self) -> None:
        self._filled.clear()
        if self._usual:
            self._set_timeouts(self._usual)
            self._usual = ()

    def commit(self) -> None:
        """Commit, and empty what was staged."""
        self._connection.commit()
        for name in self._filled:
            self._execute(f"DELETE FROM {name}")
        self._connection.commit()
        self._end()

    def rollback(self) -> None:
        """Take back all since the last commit."""
        self._connection.rollback()
        self._end()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Take back what is done inside if it fails; TransactionLostError where the server took back all."""
        self._execute("SAVEPOINT part")
        try:
            yield
        except pymysql.err.MySQLError as error:
            diagnosis = diagnose(error)
            if diagnosis.fault.code != "connection_lost" and not self._goes_back(diagnosis):
                raise TransactionLostError(diagnosis) from error
            raise
        self._execute("RELEASE SAVEPOINT part")

    def _goes_back(self, diagnosis: Diagnosis) -> bool:
        """Go back to the savepoint if it is still there: a lock time-out, too, can end the transaction."""
        if diagnosis.fault.code == "deadlock":
            return False
        try:
            self._execute("ROLLBACK TO SAVEPOINT part")
        except pymysql.err.MySQLError as error:
            if error.args[0] == _NO_SUCH_SAVEPOINT:
                return False
            raise
        return True

    def upsert(self, plan: Plan, batch: Batch, drops: Batch) -> Counts:
        """Do the whole write at once."""
        counts = Counts()
        if len(drops):
            self.stage_drops(plan, drops)
            deleted = self.delete(plan, drops.numbers[0], drops.numbers[-1])
            counts += Counts(deleted=deleted, unchanged=len(drops) - deleted)
        if not len(batch):
            return counts
        if _is_direct(plan):
            return counts + self._insert_or_update(plan, batch)
        self.stage(plan, batch)
        return counts + self.merge(plan, batch.numbers[0], batch.numbers[-1], len(batch))

    def _insert_or_update(self, plan: Plan, batch: Batch) -> Counts:
        head = f"INSERT INTO {plan.table.name} ({sql.names(FLAVOUR, plan.columns)}) VALUES "
        sets = [f"{backquoted(name)} = VALUES({backquoted(name)})" for name in plan.updated]
        # A key that the collation takes for equal is another record: null is refused, and the stage sorts it out.
        sets += [
            f"{backquoted(name)} = IF(BINARY {backquoted(name)} = BINARY VALUES({backquoted(name)}), {backquoted(name)}, NULL)"
            for name in plan.key
            if name in plan.table.inexact
        ]
        sets = sets or [f"{backquoted(plan.key[0])} = {backquoted(plan.key[0])}"]
        counts = Counts()
        for rows, affected in self._insert(
            head, plan, plan.columns, batch, f" ON DUPLICATE KEY UPDATE {', '.join(sets)}", numbered=False
        ):
            # The server counts 1 for an inserted row, 2 for a modified one and 0 for one left as it was.
            modified = self._duplicates() if rows > 1 else affected // 2
            inserted = affected - 2 * modified
            counts += Counts(inserted, modified, rows - inserted - modified)
        return counts

    def _duplicates(self) -> int:
        """How many rows the last INSERT of several modified, as the server says in the text of its answer."""
        result: Any = self._connection._result  # type: ignore[attr-defined]  # noqa: SLF001  no public name for it
        message = result.message
        found = _DUPLICATES.search(message if isinstance(message, bytes) else str(message or "").encode())
        return int(found[1]) if found else 0

    def stage(self, plan: Plan, batch: Batch) -> None:
        """Put rows into the stage."""
        self._fill(plan, plan.stage, plan.columns, batch)

    def stage_drops(self, plan: Plan, batch: Batch) -> None:
        """Put keys to delete into the drops."""
        self._fill(plan, plan.drops, plan.key, batch)

    def _fill(self, plan: Plan, name: str, columns: tuple[str, ...], batch: Batch) -> None:
        if not len(batch):
            return
        if name not in self._stages:
            self._create(plan, name, columns)
        self._filled.add(name)
        list(self._insert(f"INSERT INTO {name} VALUES ", plan, columns, batch, "", numbered=True))

    def _insert(
        self, head: str, plan: Plan, columns: tuple[str, ...], batch: Batch, tail: str, *, numbered: bool
    ) -> Iterator[tuple[int, int]]:
        """Insert rows in as few statements as the server's packet allows; yield how many rows and what it counted."""
        rows = literal_rows([plan.table.columns[name] for name in columns], batch, numbered=numbered)
        with self._connection.cursor() as cursor:
            for part in _packed(rows, self._packet_bytes - len(head.encode()) - len(tail.encode())):
                yield len(part), cursor.execute(head + ",".join(part) + tail)

    def _create(self, plan: Plan, name: str, columns: tuple[str, ...]) -> None:
        indexable = all(_is_indexable(plan, column) for column in plan.key)
        index = f", KEY ({sql.names(FLAVOUR, plan.key)})" if indexable else ""
        self._execute(
            f"CREATE TEMPORARY TABLE {name} (PRIMARY KEY (_n){index}) ENGINE=InnoDB AS "
            f"SELECT 0 AS _n, {sql.names(FLAVOUR, columns, 't')} "
            # Joined from outside, so that the stage takes null in every column.
            f"FROM (SELECT 1) o LEFT JOIN {plan.table.name} t ON FALSE LIMIT 0"
        )
        self._stages.add(name)

    def unstage(self, name: str, numbers: Sequence[int]) -> None:
        """Take rows out of a stage or the drops."""
        self._execute(f"DELETE FROM {name} WHERE _n IN ({','.join(map(str, numbers))})")

    def merge(self, plan: Plan, low: int, high: int, rows: int) -> Counts:
        """Upsert the staged rows numbered from `low` to `high`, of which there are `rows`."""
        if not plan.own_parents:
            modified = self._update(plan, low, high)
            inserted = self._insert_absent(plan, low, high)
            return Counts(inserted, modified, rows - inserted - modified)
        # The server looks at parents row by row: those first that have theirs, level by level.
        level, inserted = FLAVOUR.finish(sql.insert_level(FLAVOUR, plan)), 0
        while ready := self._execute(level, (low, high)):
            inserted += ready
        modified = self._update(plan, low, high)
        orphans = self._insert_absent(plan, low, high)
        return Counts(inserted + orphans, modified, rows - inserted - orphans - modified)

    def _insert_absent(self, plan: Plan, low: int, high: int) -> int:
        # A column without default that is left out is an error even when no row is to be inserted.
        if not plan.can_insert and not self._rows(FLAVOUR.finish(sql.absent(FLAVOUR, plan)), (low, high)):
            return 0
        return self._execute(FLAVOUR.finish(sql.insert(FLAVOUR, plan)), (low, high))

    def _update(self, plan: Plan, low: int, high: int) -> int:
        return self._execute(FLAVOUR.finish(sql.update(FLAVOUR, plan)), (low, high)) if plan.updated else 0

    def delete(self, plan: Plan, low: int, high: int) -> int:
        """Delete the rows whose keys are among the drops numbered from `low` to `high`; return how many there were."""
        return self._execute(FLAVOUR.finish(sql.delete(FLAVOUR, plan)), (low, high))

    def settle(self) -> None:
        """Nothing is deferred here."""

    def select_numbers(self, statement: str) -> list[int]:
        """Run a query and return its first column."""
        return [row[0] for row in self._rows(FLAVOUR.finish(statement), ())]

    def check(self, tables: Sequence[Table]) -> list[Fault]:
        """Return what is wrong with our access to these tables."""
        return access.check(self._connection, tables, is_mariadb=self._is_mariadb)

    def abort(self) -> None:
        """Break the connection from another thread; what is under way on it fails."""
        # the driver has no public way, and no socket once it is closed
        connected = getattr(self._connection, "_sock", None)
        if connected is not None:
            with suppress(OSError):
                connected.shutdown(SHUT_RDWR)

    def close(self) -> None:
        """Close the connection, also a broken one."""
        with suppress(pymysql.err.MySQLError, OSError):
            self._connection.close()

    def _execute(self, statement: str, values: tuple[Any, ...] | None = None) -> int:
        with self._connection.cursor() as cursor:
            return int(cursor.execute(statement, values))

    def _rows(self, statement: str, values: tuple[Any, ...] | None = None) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall())


def _is_direct(plan: Plan) -> bool:
    """Whether ON DUPLICATE KEY UPDATE can hit nothing but the key."""
    only = len(plan.table.unique) == 1 and plan.key_is_unique and plan.can_insert and plan.table.plain
    return only and not any(plan.table.columns[name].nullable for name in plan.key)


def _is_indexable(plan: Plan, column: str) -> bool:
    described = plan.table.columns[column]
    return described.max_length is None or described.max_length <= 255


def _packed(rows: list[str], room: int) -> Iterator[list[str]]:
    """Yield the rows in parts that fit into a packet; a row that alone does not is too long."""
    part: list[str] = []
    used = 0
    for row in rows:
        size = len(row) if row.isascii() else len(row.encode())
        if size + 1 > room:
            raise pymysql.err.DataError(1153, "a row is larger than max_allowed_packet")
        if used + size + 1 > room:
            yield part
            part, used = [], 0
        part.append(row)
        used += size + 1
    yield part
