"""The table that every side fills, on each of the three databases: made, watched, compared, emptied."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, create_engine

from benchmarks.changes import COLUMNS, ENDS, LONGEST_NAME, Customer

TABLE = "customers"
_TIMESTAMPS = {"postgresql": "timestamp", "mariadb": "datetime(6)", "sqlite": "timestamp"}


class Database(StrEnum):
    """Where the table is."""

    POSTGRES = "postgres"
    MARIADB = "mariadb"
    SQLITE = "sqlite"


class WrongRowsError(Exception):
    """A side ended with other rows than the topic holds."""


@dataclass(slots=True)
class Target:
    """One database with the table in it; `url` is SQLAlchemy's."""

    database: Database
    url: str
    engine: Engine

    @staticmethod
    def at(database: Database, url: str) -> "Target":
        """Open the database in which the table will be."""
        return Target(database, url, create_engine(url, isolation_level="AUTOCOMMIT"))

    def empty(self) -> None:
        """Make the table anew."""
        timestamp = _TIMESTAMPS[self.engine.dialect.name]
        with self.engine.connect() as connection:
            if self.database is Database.SQLITE:
                connection.exec_driver_sql("pragma journal_mode=wal")
            connection.exec_driver_sql(f"drop table if exists {TABLE}")
            connection.exec_driver_sql(
                f"create table {TABLE} (number varchar(20) not null primary key, name varchar({LONGEST_NAME}) not null,"
                " email varchar(80), city varchar(40), credit_limit numeric(12,2), blocked boolean not null,"
                f" visits integer, opened {timestamp})"
            )

    @contextmanager
    def watching(self) -> Iterator["Watch"]:
        """Keep a connection open that asks how far a side is."""
        with self.engine.connect() as connection:
            yield Watch(connection)

    def rows(self) -> dict[str, Customer]:
        """Return all rows by number, in the same Python values from every database."""
        with self.engine.connect() as connection:
            found = connection.exec_driver_sql(f"select {', '.join(COLUMNS)} from {TABLE}")
            return {row[0]: _customer(*row) for row in found}

    def compare(self, expected: dict[str, Customer]) -> None:
        """Raise WrongRowsError unless the table holds exactly these rows."""
        rows = self.rows()
        if rows == expected:
            return
        missing = len(expected.keys() - rows.keys())
        surplus = len(rows.keys() - expected.keys())
        example = next((key for key in expected if key in rows and rows[key] != expected[key]), None)
        differing = f"; {rows[example]} should be {expected[example]}" if example else ""
        raise WrongRowsError(f"{missing} rows missing, {surplus} too many{differing}")


@dataclass(frozen=True, slots=True)
class Watch:
    """A look at the table; key look-ups alone while a side is at work, so that watching costs next to nothing."""

    connection: Connection

    def count_rows(self) -> int:
        """Return how many rows there are; 0 until the first batch is committed."""
        return int(self.connection.exec_driver_sql(f"select count(*) from {TABLE}").scalar() or 0)

    def has_ended(self) -> bool:
        """Whether the last change of every partition is committed."""
        ends = ", ".join(f"'{number}'" for number in ENDS)
        counted = self.connection.exec_driver_sql(
            f"select count(*) from {TABLE} where number in ({ends})"
        ).scalar()
        return counted == len(ENDS)


def _customer(
    number: str, name: str, email: str | None, city: str, credit: Any, blocked: Any, visits: int, opened: Any
) -> Customer:
    moment = datetime.fromisoformat(opened) if isinstance(opened, str) else opened
    micros = (moment - datetime(1970, 1, 1)) // (moment.resolution)  # noqa: DTZ001  without a zone, as in the source
    return Customer(number, name, email, city, int(Decimal(str(credit)) * 100), bool(blocked), visits, micros)
