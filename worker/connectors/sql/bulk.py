"""What a database must offer for a bulk write; one implementation a folder."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from worker.connectors.sql.errors import Diagnosis
from worker.connectors.sql.exact import Holds
from worker.connectors.sql.plan import Flavour, Plan
from worker.connectors.sql.table import Batch, Counts, Table
from worker.fault import Fault


class Bulk(Protocol):
    """The effects on one connection. All methods raise the driver's `errors`, which `diagnose` explains."""

    @property
    def flavour(self) -> Flavour: ...  # noqa: D102
    @property
    def holds(self) -> Holds: ...  # noqa: D102
    @property
    def errors(self) -> tuple[type[Exception], ...]: ...  # noqa: D102

    def diagnose(self, error: Exception) -> Diagnosis:
        """Return what an error of the driver means."""

    def describe(self, entity: str) -> Table | None:
        """Return the description of a table, None if there is none."""

    def fingerprint(self, table: Table) -> str:
        """Return what changes whenever the definition of the table does."""

    def prepare(self, plan: Plan) -> None:
        """Create the temporary tables of a plan; they live as long as the connection."""

    def forget(self, plan: Plan) -> None:
        """Drop the temporary tables of a plan."""

    def begin(self) -> None:
        """Begin a transaction."""

    def limit(self, *, lock_ms: int, statement_ms: int) -> None:
        """Set shorter time-outs until the end of the transaction."""

    def commit(self) -> None:
        """Commit; what was staged is gone."""

    def rollback(self) -> None:
        """Take back all since the transaction began; what was staged is gone."""

    def savepoint(self) -> AbstractContextManager[None]:
        """Take back what is done inside if it fails; TransactionLostError if more than that is gone."""

    def upsert(self, plan: Plan, batch: Batch, drops: Batch) -> Counts:
        """Do the whole write at once, deletes first, by the fastest way there is."""

    def stage(self, plan: Plan, batch: Batch) -> None:
        """Put rows into the stage."""

    def stage_drops(self, plan: Plan, batch: Batch) -> None:
        """Put keys to delete into the drops."""

    def unstage(self, name: str, numbers: Sequence[int]) -> None:
        """Take rows out of a stage or the drops."""

    def merge(self, plan: Plan, low: int, high: int, rows: int) -> Counts:
        """Upsert the staged rows numbered from `low` to `high`, of which there are `rows`."""

    def delete(self, plan: Plan, low: int, high: int) -> int:
        """Delete the rows whose keys are among the drops numbered from `low` to `high`; return how many there were."""

    def settle(self) -> None:
        """Have deferred constraints looked at now."""

    def select_numbers(self, statement: str) -> list[int]:
        """Run a query and return its first column."""

    def check(self, tables: Sequence[Table]) -> list[Fault]:
        """Return what is wrong with our access to these tables."""

    def abort(self) -> None:
        """Break the connection from another thread; what is under way on it fails."""

    def close(self) -> None:
        """Close the connection, also a broken one."""
