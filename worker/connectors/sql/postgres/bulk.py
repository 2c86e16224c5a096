"""Write a bulk to PostgreSQL: COPY into a temporary table typed like the target, then one statement over it.

Stages live as long as the connection and are emptied by the commit. Counts come from the database.
"""

# ruff: noqa: S608  the parts of these statements are quoted names, our own words and numbers

import datetime as dt
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR, socket
from typing import Any

import psycopg

from worker.connectors.sql import plan as sql
from worker.connectors.sql.errors import Diagnosis
from worker.connectors.sql.exact import Holds
from worker.connectors.sql.plan import PARAMETER, Flavour, Plan
from worker.connectors.sql.postgres import access, catalog
from worker.connectors.sql.postgres.copytext import copy_chunks
from worker.connectors.sql.postgres.errors import diagnose
from worker.connectors.sql.quoting import double_quoted
from worker.connectors.sql.table import Batch, Counts, Table
from worker.fault import Fault


def _exact(expression: str, cast: str | None) -> str:
    return f'{expression}::{cast} COLLATE "C"' if cast == "text" else expression


FLAVOUR = Flavour(double_quoted, "IS NOT DISTINCT FROM", _exact, joins_in_update=False, parameter="%s")

_CLOCK = (dt.timedelta(0), dt.timedelta(hours=24))


class PostgresBulk:
    """The effects on one PostgreSQL connection, in the order that the write asks for them."""

    flavour = FLAVOUR
    holds = Holds(far_dates=True, not_a_number=True, nul_in_text=False, arrays=True, clock=_CLOCK)
    errors = (psycopg.Error,)

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._merges: dict[str, tuple[str, ...]] = {}

    def diagnose(self, error: Exception) -> Diagnosis:
        """Return what an error of the driver means."""
        assert isinstance(error, psycopg.Error)  # noqa: S101  the only kind that the connector catches here
        return diagnose(error)

    def describe(self, entity: str) -> Table | None:
        """Return the description of a table, None if there is none."""
        return catalog.describe(self._connection, entity)

    def fingerprint(self, table: Table) -> str:
        """Return what changes whenever the definition of the table does."""
        return catalog.fingerprint(self._connection, table.name)

    def prepare(self, plan: Plan) -> None:
        """Create the temporary tables of a plan, once per connection; outside of a transaction's work."""
        columns = sql.names(FLAVOUR, plan.columns)
        for name, wanted in ((plan.stage, columns), (plan.drops, sql.names(FLAVOUR, plan.key))):
            self._connection.execute(
                f"CREATE TEMPORARY TABLE {name} ON COMMIT DELETE ROWS AS "
                f"SELECT 0::int AS _n, {wanted} FROM {plan.table.name} WITH NO DATA".encode()
            )
        self._connection.commit()

    def forget(self, plan: Plan) -> None:
        """Drop the temporary tables of a plan."""
        self._connection.execute(f"DROP TABLE IF EXISTS {plan.stage}, {plan.drops}".encode())
        self._connection.commit()
        self._merges.pop(plan.stage, None)

    def begin(self) -> None:
        """The driver begins a transaction by itself."""

    def limit(self, *, lock_ms: int, statement_ms: int) -> None:
        """Set shorter time-outs until the end of the transaction."""
        self._connection.execute(
            "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', %s, true)",
            (str(lock_ms), str(statement_ms)),
        )

    def commit(self) -> None:
        """Commit; what was staged is gone."""
        self._connection.commit()

    def rollback(self) -> None:
        """Take back all since the last commit."""
        self._connection.rollback()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Take back what is done inside if it fails."""
        self._connection.execute("SAVEPOINT part")
        try:
            yield
        except psycopg.Error:
            if not self._connection.closed:
                self._connection.execute("ROLLBACK TO part")
                self._connection.execute("RELEASE part")
            raise
        self._connection.execute("RELEASE part")

    def stage(self, plan: Plan, batch: Batch) -> None:
        """Put rows into the stage."""
        self._copy(plan, plan.stage, plan.columns, batch)

    def stage_drops(self, plan: Plan, batch: Batch) -> None:
        """Put keys to delete into the drops."""
        self._copy(plan, plan.drops, plan.key, batch)

    def _copy(self, plan: Plan, name: str, columns: Sequence[str], batch: Batch) -> None:
        if not len(batch):
            return
        described = [plan.table.columns[column] for column in columns]
        with self._connection.cursor() as cursor, cursor.copy(f"COPY {name} FROM STDIN".encode()) as copy:
            for chunk in copy_chunks(described, batch):
                copy.write(chunk)

    def unstage(self, name: str, numbers: Sequence[int]) -> None:
        """Take rows out of a stage or the drops."""
        self._connection.execute(f"DELETE FROM {name} WHERE _n = ANY(%s)".encode(), (list(numbers),))

    def upsert(self, plan: Plan, batch: Batch, drops: Batch) -> Counts:
        """Do the whole write at once."""
        if len(drops):
            self.stage_drops(plan, drops)
        deleted = self.delete(plan, drops.numbers[0], drops.numbers[-1]) if len(drops) else 0
        if not len(batch):
            return Counts(deleted=deleted, unchanged=len(drops) - deleted)
        self.stage(plan, batch)
        counts = self.merge(plan, batch.numbers[0], batch.numbers[-1], len(batch))
        return counts + Counts(deleted=deleted, unchanged=len(drops) - deleted)

    def merge(self, plan: Plan, low: int, high: int, rows: int) -> Counts:
        """Upsert the staged rows numbered from `low` to `high`, of which there are `rows`."""
        statements = self._merges.get(plan.stage)
        if statements is None:
            statements = self._merges[plan.stage] = _merge_statements(plan)
        if len(statements) == 1:
            row = self._connection.execute(statements[0].encode(), (low, high)).fetchone()
            inserted, modified = row or (0, 0)
        else:
            modified = (
                self._connection.execute(statements[0].encode(), (low, high)).rowcount if statements[0] else 0
            )
            inserted = self._connection.execute(statements[1].encode(), (low, high)).rowcount
        return Counts(inserted, modified, rows - inserted - modified)

    def delete(self, plan: Plan, low: int, high: int) -> int:
        """Delete the rows whose keys are among the drops numbered from `low` to `high`; return how many there were."""
        return self._connection.execute(
            FLAVOUR.finish(sql.delete(FLAVOUR, plan)).encode(), (low, high)
        ).rowcount

    def settle(self) -> None:
        """Have deferred constraints looked at now."""
        self._connection.execute("SET CONSTRAINTS ALL IMMEDIATE")

    def select_numbers(self, statement: str) -> list[int]:
        """Run a query and return its first column."""
        return [row[0] for row in self._connection.execute(FLAVOUR.finish(statement).encode(), ()).fetchall()]

    def check(self, tables: Sequence[Table]) -> list[Fault]:
        """Return what is wrong with our access to these tables."""
        return access.check(self._connection, tables)

    def abort(self) -> None:
        """Break the connection from another thread; what is under way on it fails."""
        with suppress(psycopg.Error, OSError), socket(fileno=os.dup(self._connection.fileno())) as connected:
            connected.shutdown(SHUT_RDWR)

    def close(self) -> None:
        """Close the connection, also a broken one."""
        self._connection.close()


def _merge_statements(plan: Plan) -> tuple[str, ...]:
    overriding = "OVERRIDING SYSTEM VALUE " if plan.table.always_identity & set(plan.columns) else ""
    if not (plan.key_is_unique and plan.key_is_exact and plan.can_insert and plan.table.plain):
        update = FLAVOUR.finish(sql.update(FLAVOUR, plan)) if plan.updated else ""
        return update, FLAVOUR.finish(sql.insert(FLAVOUR, plan, overriding))
    sets = ", ".join(f"{double_quoted(name)} = excluded.{double_quoted(name)}" for name in plan.updated)
    action = f"DO UPDATE SET {sets} WHERE {sql.differs(FLAVOUR, plan, 'excluded')}" if sets else "DO NOTHING"
    upsert = (
        f"INSERT INTO {plan.table.name} AS t ({sql.names(FLAVOUR, plan.columns)}) {overriding}"
        f"SELECT {sql.names(FLAVOUR, plan.columns, 's')} FROM {plan.stage} s "
        f"WHERE s._n BETWEEN {PARAMETER} AND {PARAMETER} "
        f"ON CONFLICT ({sql.names(FLAVOUR, plan.key)}) {action} RETURNING xmax = 0 AS new"
    )
    return (
        FLAVOUR.finish(
            f"WITH w AS ({upsert}) SELECT count(*) FILTER (WHERE new), count(*) FILTER (WHERE NOT new) FROM w"
        ),
    )
