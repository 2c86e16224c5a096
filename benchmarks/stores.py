"""The sink's store as a target: made anew, watched by the positions that it ingested, compared by its counts."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, create_engine, inspect
from sqlalchemy.exc import ProgrammingError

from benchmarks.ground import Ground
from benchmarks.targets import WrongRowsError

POSITIONS = "instep_ingest_position"
ENTRIES = "instep_entry"
PAYLOADS = "instep_payload"
DATABASE = "instep_bench_store"


@dataclass(frozen=True, slots=True)
class SinkStore:
    """A PostgreSQL database for the store; a side is done when `messages` are ingested."""

    ground: Ground
    messages: int

    @property
    def url(self) -> str:
        """SQLAlchemy's URL."""
        return self.ground.services.postgres.url(DATABASE)

    def empty(self) -> None:
        """Drop the database and make it anew, without any table."""
        self.ground.services.postgres.drop_database(DATABASE)
        self.ground.services.postgres.execute(f"create database {DATABASE}")

    @contextmanager
    def watching(self) -> Iterator["StoreWatch"]:
        """Keep a connection open that asks how far a side is."""
        engine = create_engine(self.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            yield StoreWatch(connection, self.messages)
        engine.dispose()

    def compare(self, expected: Mapping[str, int]) -> None:
        """Raise WrongRowsError unless there are as many `entries` with as many `failures` counted as expected.

        A store without the table of entries is that of a side that only reads.
        """
        engine = create_engine(self.url)
        if inspect(engine).has_table(ENTRIES):
            with engine.connect() as connection:
                found = connection.exec_driver_sql(
                    f"select count(*), coalesce(sum(count), 0) from {ENTRIES}"
                ).one()
            if tuple(found) != (expected["entries"], expected["failures"]):
                raise WrongRowsError(
                    f"{found[0]} entries with {found[1]} failures; expected {dict(expected)}"
                )
        engine.dispose()


@dataclass(frozen=True, slots=True)
class StoreWatch:
    """A look at the positions."""

    connection: Connection
    messages: int

    def count_rows(self) -> int:
        """Return how many messages are ingested; 0 while there is no table yet."""
        try:
            return int(
                self.connection.exec_driver_sql(
                    f"select coalesce(sum(position), 0) from {POSITIONS}"
                ).scalar()
                or 0
            )
        except ProgrammingError:
            return 0

    def has_ended(self) -> bool:
        """Whether all messages are ingested."""
        return self.count_rows() >= self.messages
