"""A real database as the contract tests see it: statements, rows, a connector, in the words of its own dialect."""

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pymysql
from sqlalchemy import make_url

from worker.connectors.protocol import Connector, Write, Written
from worker.connectors.sql.connector import open_sql

_TYPES = {
    "postgres": {
        "TIMESTAMP": "timestamp",
        "INSTANT": "timestamptz",
        "BYTES": "bytea",
        "DOUBLE": "double precision",
    },
    "mariadb": {
        "TIMESTAMP": "datetime(6)",
        "INSTANT": "timestamp(6) null",
        "BYTES": "blob",
        "DOUBLE": "double",
    },
    "sqlite": {"TIMESTAMP": "timestamp", "INSTANT": "timestamptz", "BYTES": "blob", "DOUBLE": "double"},
}


@dataclass(slots=True)
class Target:
    """One empty database; `execute` speaks to it past the connector."""

    dialect: str
    url: str
    connectors: list[Connector] = field(default_factory=list)

    def connect(self) -> Any:
        """A connection of the driver's own, each statement a transaction."""
        url = make_url(self.url)
        match self.dialect:
            case "postgres":
                return psycopg.connect(
                    url.set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True
                )
            case "mariadb":
                return pymysql.connect(
                    host=url.host, port=url.port or 3306, user=url.username, password=url.password or "",
                    database=url.database, autocommit=True,
                )  # fmt: skip
            case _:
                return sqlite3.connect(str(url.database), isolation_level=None)

    def execute(self, *statements: str) -> None:
        """Run statements; TIMESTAMP, INSTANT, BYTES and DOUBLE in capitals become the dialect's own types."""
        connection = self.connect()
        try:
            for statement in statements:
                connection.cursor().execute(self.in_dialect(statement))
        finally:
            connection.close()

    def in_dialect(self, statement: str) -> str:
        for word, own in _TYPES[self.dialect].items():
            statement = re.sub(rf"\b{word}\b", own, statement)
        return statement.replace('"', "`") if self.dialect == "mariadb" else statement

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        connection = self.connect()
        try:
            cursor = connection.cursor()
            cursor.execute(self.in_dialect(query))
            return [tuple(row) for row in cursor.fetchall()]
        finally:
            connection.close()

    def open(self, url: str = "", **options: object) -> Connector:
        connector = open_sql(url or self.url, options)
        self.connectors.append(connector)
        return connector


def put(
    entity: str,
    columns: Sequence[str],
    *rows: tuple[Any, ...],
    key: Sequence[str] = ("id",),
    deletes: Sequence[tuple[Any, ...]] = (),
) -> Write:
    return Write(entity, tuple(key), tuple(columns), rows, deletes)


def written(answer: object) -> Written:
    assert isinstance(answer, Written), answer
    return answer


def counts(answer: object) -> tuple[int, int, int, int]:
    done = written(answer)
    return done.inserted, done.modified, done.unchanged, done.deleted


def codes(answer: object) -> dict[int, str]:
    return {number: fault.code for number, fault in written(answer).row_faults.items()}
