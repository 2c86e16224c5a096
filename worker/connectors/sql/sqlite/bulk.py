"""Write a bulk to SQLite: one prepared upsert for all rows; the stage is there for finding bad ones."""

# ruff: noqa: S608  the parts of these statements are quoted names, our own words and numbers

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from schemas.change import Kind
from worker.connectors.sql import plan as sql
from worker.connectors.sql.errors import Diagnosis, Reach, TransactionLostError
from worker.connectors.sql.exact import Holds
from worker.connectors.sql.plan import Flavour, Plan
from worker.connectors.sql.quoting import double_quoted
from worker.connectors.sql.sqlite import catalog
from worker.connectors.sql.sqlite.binding import bind
from worker.connectors.sql.sqlite.errors import diagnose
from worker.connectors.sql.table import Batch, Counts, Table
from worker.fault import Fault


def _exact(expression: str, _cast: str | None) -> str:
    return f"{expression} COLLATE BINARY"


FLAVOUR = Flavour(double_quoted, "IS", _exact, joins_in_update=False, parameter="?")
_DOUBLE_DIGITS = 15
_KEYS_AS_JSON = frozenset({Kind.TEXT, Kind.INTEGER, Kind.UUID, Kind.DATE})


class SqliteBulk:
    """The effects on one SQLite connection, in the order that the write asks for them."""

    flavour = FLAVOUR
    holds = Holds(decimal_digits=_DOUBLE_DIGITS)
    errors = (sqlite3.Error,)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._stages: set[str] = set()
        self._filled: set[str] = set()
        self._merged: tuple[Plan, int, int] | None = None

    def diagnose(self, error: Exception) -> Diagnosis:
        """Return what an error of the driver means."""
        return diagnose(error)

    def describe(self, entity: str) -> Table | None:
        """Return the description of a table, None if there is none."""
        return catalog.describe(self._connection, entity)

    def fingerprint(self, table: Table) -> str:
        """Return what changes whenever the definition of the table does."""
        return catalog.fingerprint(self._connection, table.schema)

    def prepare(self, plan: Plan) -> None:
        """Nothing yet: the temporary tables are created when first needed."""

    def forget(self, plan: Plan) -> None:
        """Drop the temporary tables of a plan."""
        for name in (plan.stage, plan.drops):
            self._connection.execute(f"DROP TABLE IF EXISTS temp.{name}")
            self._stages.discard(name)

    def begin(self) -> None:
        """Begin a transaction with the right to write, so that it cannot be lost half-way."""
        self._connection.execute("BEGIN IMMEDIATE")

    def limit(self, *, lock_ms: int, statement_ms: int) -> None:
        """The only lock is the whole database's, and that we have."""

    def commit(self) -> None:
        """Commit, and empty what was staged."""
        for name in self._filled:
            self._connection.execute(f"DELETE FROM temp.{name}")
        self._connection.execute("COMMIT")
        self._filled.clear()

    def rollback(self) -> None:
        """Take back all since the transaction began."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._filled.clear()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Take back what is done inside if it fails; TransactionLostError where a rule of the table took back all."""
        self._connection.execute("SAVEPOINT part")
        try:
            yield
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK TO part")
                self._connection.execute("RELEASE part")
            elif (diagnosis := diagnose(error)).reach is Reach.RECORD:
                raise TransactionLostError(diagnosis) from error
            raise
        self._connection.execute("RELEASE part")

    def upsert(self, plan: Plan, batch: Batch, drops: Batch) -> Counts:
        """Do the whole write at once."""
        counts = Counts()
        if len(drops):
            counts += self._delete_each(plan, drops)
        if not len(batch):
            return counts
        if _is_direct(plan, batch):
            return counts + self._upsert_each(plan, batch)
        self.stage(plan, batch)
        return counts + self.merge(plan, batch.numbers[0], batch.numbers[-1], len(batch))

    def _delete_each(self, plan: Plan, drops: Batch) -> Counts:
        where = " AND ".join(f"{FLAVOUR.exact(double_quoted(name), None)} = ?" for name in plan.key)
        if plan.key_is_exact:
            where = " AND ".join(f"{double_quoted(name)} = ?" for name in plan.key)
        rows = zip(*self._bound(plan, plan.key, drops), strict=True)
        deleted = self._connection.executemany(f"DELETE FROM {plan.table.name} WHERE {where}", rows).rowcount
        return Counts(deleted=deleted, unchanged=len(drops) - deleted)

    def _upsert_each(self, plan: Plan, batch: Batch) -> Counts:
        bound = self._bound(plan, plan.columns, batch)
        there = self._count_there(plan, bound)
        sets = ", ".join(f"{double_quoted(name)} = excluded.{double_quoted(name)}" for name in plan.updated)
        action = f"UPDATE SET {sets} WHERE {sql.differs(FLAVOUR, plan, 'excluded')}" if sets else "NOTHING"
        marks = ", ".join("?" * len(plan.columns))
        statement = (
            f"INSERT INTO {plan.table.name} AS t ({sql.names(FLAVOUR, plan.columns)}) VALUES ({marks}) "
            f"ON CONFLICT ({sql.names(FLAVOUR, plan.key)}) DO {action}"
        )
        changed = self._connection.executemany(statement, zip(*bound, strict=True)).rowcount
        inserted = len(batch) - there
        return Counts(inserted, changed - inserted, len(batch) - changed)

    def _count_there(self, plan: Plan, bound: Sequence[Sequence[object]]) -> int:
        """How many of the rows are in the table already."""
        keys = [bound[plan.columns.index(name)] for name in plan.key]
        if len(keys) == 1:
            join, wanted = f"t.{double_quoted(plan.key[0])} = j.value", list(keys[0])
        else:
            join = " AND ".join(
                f"t.{double_quoted(name)} = json_extract(j.value, '$[{place}]')"
                for place, name in enumerate(plan.key)
            )
            wanted = list(zip(*keys, strict=True))
        statement = f"SELECT count(*) FROM json_each(?) j CROSS JOIN {plan.table.name} t ON {join}"
        return int(self._connection.execute(statement, (json.dumps(wanted),)).fetchone()[0])

    def _bound(self, plan: Plan, columns: tuple[str, ...], batch: Batch) -> list[Sequence[object]]:
        return [
            bind(plan.table.columns[name], values)
            for name, values in zip(columns, batch.columns, strict=True)
        ]

    def stage(self, plan: Plan, batch: Batch) -> None:
        """Put rows into the stage."""
        self._fill(plan, plan.stage, plan.columns, batch)

    def stage_drops(self, plan: Plan, batch: Batch) -> None:
        """Put keys to delete into the drops."""
        self._fill(plan, plan.drops, plan.key, batch)

    def _fill(self, plan: Plan, name: str, columns: tuple[str, ...], batch: Batch) -> None:
        if not len(batch):
            return
        self._connection.execute(
            f"CREATE TEMPORARY TABLE IF NOT EXISTS {name} AS "
            f"SELECT 0 AS _n, {sql.names(FLAVOUR, columns)} FROM {plan.table.name} LIMIT 0"
        )
        self._filled.add(name)
        marks = ", ".join("?" * (len(columns) + 1))
        rows = zip(batch.numbers, *self._bound(plan, columns, batch), strict=True)
        self._connection.executemany(f"INSERT INTO temp.{name} VALUES ({marks})", rows)

    def unstage(self, name: str, numbers: Sequence[int]) -> None:
        """Take rows out of a stage or the drops."""
        self._connection.executemany(
            f"DELETE FROM temp.{name} WHERE _n = ?", [(number,) for number in numbers]
        )

    def merge(self, plan: Plan, low: int, high: int, rows: int) -> Counts:
        """Upsert the staged rows numbered from `low` to `high`, of which there are `rows`."""
        span = (low, high)
        self._merged = (plan, low, high)
        update = FLAVOUR.finish(sql.update(FLAVOUR, plan)) if plan.updated else ""
        modified = self._connection.execute(update, span).rowcount if update else 0
        inserted = self._connection.execute(FLAVOUR.finish(sql.insert(FLAVOUR, plan)), span).rowcount
        return Counts(inserted, modified, rows - inserted - modified)

    def delete(self, plan: Plan, low: int, high: int) -> int:
        """Delete the rows whose keys are among the drops numbered from `low` to `high`; return how many there were."""
        self._merged = None
        return self._connection.execute(FLAVOUR.finish(sql.delete(FLAVOUR, plan)), (low, high)).rowcount

    def settle(self) -> None:
        """Look ourselves whether the rows just merged have their parents: SQLite does so for deferred keys on commit only."""
        if self._merged is None:
            return
        plan, low, high = self._merged
        for foreign in plan.table.foreign_keys:
            if set(foreign.columns) <= set(plan.columns):
                statement = FLAVOUR.finish(f"{sql.parentless(FLAVOUR, plan, foreign)} AND {sql.between('s')}")
                if self._connection.execute(statement, (low, high)).fetchone():
                    error = sqlite3.IntegrityError("FOREIGN KEY constraint failed")
                    error.sqlite_errorname = "SQLITE_CONSTRAINT_FOREIGNKEY"
                    raise error

    def select_numbers(self, statement: str) -> list[int]:
        """Run a query and return its first column."""
        return [row[0] for row in self._connection.execute(FLAVOUR.finish(statement))]

    def check(self, tables: Sequence[Table]) -> list[Fault]:
        """Return what is wrong with our access: a database that we may not write to."""
        try:
            self.begin()
            self._connection.execute("PRAGMA user_version")
        except sqlite3.Error as error:
            return [diagnose(error).fault]
        writable = self._connection.execute("PRAGMA query_only").fetchone()[0] == 0
        entities = ", ".join(table.description.entity for table in tables)
        return [] if writable else [Fault("permission_denied", {"entity": entities, "privileges": "writing"})]

    def abort(self) -> None:
        """Interrupt the statement that is under way in another thread."""
        with suppress(sqlite3.Error):
            self._connection.interrupt()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _is_direct(plan: Plan, batch: Batch) -> bool:
    kinds = {plan.table.columns[name].kind for name in plan.key}
    return (
        plan.key_is_unique
        and plan.key_is_exact
        and plan.can_insert
        and plan.table.plain
        and kinds <= _KEYS_AS_JSON
        and not any(_has_nul(batch.columns[plan.columns.index(name)]) for name in plan.key)
    )


def _has_nul(values: Sequence[object]) -> bool:
    """Whether a text among the values would be cut short as JSON."""
    return "\0" in "".join(value for value in values if isinstance(value, str))
