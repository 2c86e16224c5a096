"""Open a connection to the database that a URL names, set up for us."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import quote

import psycopg
from pymysql.connections import Connection as MariadbConnection
from sqlalchemy import URL, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from worker.connectors.sql.bulk import Bulk
from worker.connectors.sql.errors import Diagnosis
from worker.connectors.sql.mariadb.bulk import MariadbBulk
from worker.connectors.sql.mariadb.errors import diagnose as diagnose_mariadb
from worker.connectors.sql.postgres.bulk import PostgresBulk
from worker.connectors.sql.postgres.errors import diagnose as diagnose_postgres
from worker.connectors.sql.sqlite.bulk import SqliteBulk
from worker.connectors.sql.sqlite.errors import diagnose as diagnose_sqlite
from worker.fault import Fault


@dataclass(frozen=True, slots=True)
class Settings:
    """Time-outs in seconds, from the app's options."""

    lock_timeout_s: float = 5
    statement_timeout_s: float = 60
    connect_timeout_s: float = 10

    @classmethod
    def read(cls, options: Mapping[str, object]) -> "Settings":
        """Return the settings in `options`; ValueError on an unknown one or one that is no positive number."""
        known = [field.name for field in fields(cls)]
        given: dict[str, float] = {}
        for name, value in options.items():
            if name not in known:
                raise ValueError(
                    f"unknown option {name!r} of the sql connector; there are {', '.join(known)}"
                )
            if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
                raise ValueError(f"option {name} of the sql connector must be a number of seconds above 0")
            given[name] = float(value)
        return cls(**given)

    @property
    def lock_ms(self) -> int:
        """The lock time-out in milliseconds."""
        return max(1, round(self.lock_timeout_s * 1000))

    @property
    def statement_ms(self) -> int:
        """The statement time-out in milliseconds."""
        return max(1, round(self.statement_timeout_s * 1000))


class OpenError(Exception):
    """The database could not be opened, for the reason in `fault`."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Dialect:
    """One kind of database: how its URL is completed, what its driver is given, how a connection is set up."""

    driver: str
    bulk_type: type[Any]
    diagnose: Callable[[Any], Diagnosis]
    arguments: Callable[[URL, Settings], dict[str, object]]
    set_up: Callable[[Any, Settings], None]
    creator: Callable[[URL, Settings], Callable[[], Any]] | None = None


class Opening:
    """How one database is opened; checks the URL and opens nothing by itself."""

    def __init__(self, url: str, settings: Settings) -> None:
        self.settings = settings
        self._url, self._dialect = _read(url)
        creator = self._dialect.creator
        self._engine = create_engine(
            self._url,
            poolclass=NullPool,
            hide_parameters=True,
            connect_args=self._dialect.arguments(self._url, settings),
            **({"creator": creator(self._url, settings)} if creator else {}),
        )

    def open(self) -> Bulk:
        """Return a new connection, ready for use; OpenError with the driver's error as cause."""
        try:
            raw = self._engine.raw_connection()
            connection = raw.driver_connection
            raw.detach()
            self._dialect.set_up(connection, self.settings)
        except DBAPIError as error:
            raise OpenError(self._dialect.diagnose(error.orig).fault) from None
        except self._dialect.bulk_type.errors as error:
            raise OpenError(self._dialect.diagnose(error).fault) from None
        bulk: Bulk = self._dialect.bulk_type(connection)
        return bulk


def _read(url: str) -> tuple[URL, Dialect]:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
        dialect = _DIALECTS[backend]
        if "+" not in parsed.drivername:
            parsed = parsed.set(drivername=f"{backend}+{dialect.driver}")
        if parsed.get_driver_name() != dialect.driver:
            raise ValueError(f"the sql connector opens {backend} with the driver {dialect.driver} only")
    except (ArgumentError, NoSuchModuleError, KeyError):
        known = ", ".join(_DIALECTS)
        raise ValueError(f"the URL names no database that the sql connector knows ({known})") from None
    return parsed, dialect


def _postgres_arguments(url: URL, settings: Settings) -> dict[str, object]:
    given = {
        "connect_timeout": max(2, round(settings.connect_timeout_s)),
        "application_name": "instep",
        # A server that went away without a word is noticed even while we wait for its answer.
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }
    ours = {name: value for name, value in given.items() if name not in url.query}
    return {**ours, "client_encoding": "UTF8"}


def _set_up_postgres(connection: psycopg.Connection[Any], settings: Settings) -> None:
    # What changes how a value or a definition is read: the database, or the user's role, may have set it otherwise.
    connection.execute(
        "SELECT set_config('timezone', 'UTC', false), set_config('datestyle', 'ISO, YMD', false), "
        "set_config('intervalstyle', 'postgres', false), set_config('lc_monetary', 'C', false), "
        "set_config('array_nulls', 'on', false), "
        "set_config('default_transaction_isolation', 'read committed', false), "
        "set_config('lock_timeout', %s, false), set_config('statement_timeout', %s, false), "
        "set_config('client_min_messages', 'error', false)",
        (str(settings.lock_ms), str(settings.statement_ms)),
    )
    connection.commit()


def _mariadb_arguments(_url: URL, settings: Settings) -> dict[str, object]:
    return {
        "charset": "utf8mb4",
        "connect_timeout": max(1, round(settings.connect_timeout_s)),
        # Longer than the server's own limit: it is there for a server that went away without a word.
        "read_timeout": round(settings.statement_timeout_s) + 15,
        "write_timeout": round(settings.statement_timeout_s) + 15,
        "program_name": "instep",
        # Without the flag that SQLAlchemy sets, so that the server tells an unchanged row from an inserted one.
        "client_flag": 0,
    }


def _set_up_mariadb(connection: "MariadbConnection[Any]", settings: Settings) -> None:
    wait_s = max(1, round(settings.lock_timeout_s))
    with connection.cursor() as cursor:
        cursor.execute(
            "SET SESSION sql_mode = 'TRADITIONAL,NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00', "
            "innodb_lock_wait_timeout = %s, lock_wait_timeout = %s, foreign_key_checks = 1, unique_checks = 1, "
            "sql_safe_updates = 0",
            (wait_s, wait_s),
        )
        cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        cursor.execute("SELECT version()")
        row = cursor.fetchone()
        if row is not None and "MariaDB" in str(row[0]):
            cursor.execute("SET SESSION max_statement_time = %s", (settings.statement_timeout_s,))
    connection.commit()


def _no_arguments(_url: URL, _settings: Settings) -> dict[str, object]:
    return {}


def _sqlite_creator(url: URL, settings: Settings) -> Callable[[], sqlite3.Connection]:
    def connect() -> sqlite3.Connection:
        # mode=rw: a database that is not there is an error, not a new empty one.
        where = (
            f"file:{quote(url.database)}?mode=rw"
            if url.database and url.database != ":memory:"
            else ":memory:"
        )
        return sqlite3.connect(
            where,
            uri=where != ":memory:",
            timeout=settings.lock_timeout_s,
            isolation_level=None,
            check_same_thread=False,
        )

    return connect


def _set_up_sqlite(connection: sqlite3.Connection, _settings: Settings) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")


_DIALECTS = {
    "mysql": Dialect("pymysql", MariadbBulk, diagnose_mariadb, _mariadb_arguments, _set_up_mariadb),
    "mariadb": Dialect("pymysql", MariadbBulk, diagnose_mariadb, _mariadb_arguments, _set_up_mariadb),
    "postgresql": Dialect("psycopg", PostgresBulk, diagnose_postgres, _postgres_arguments, _set_up_postgres),
    "sqlite": Dialect(
        "pysqlite", SqliteBulk, diagnose_sqlite, _no_arguments, _set_up_sqlite, _sqlite_creator
    ),
}
