"""How both processes open a database of their own or of an app."""

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

import orjson
from pydantic import SecretStr
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Dialect,
    Engine,
    Text,
    bindparam,
    create_engine,
    event,
    func,
    make_url,
    select,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.types import UserDefinedType

CONNECT_TIMEOUT_S = 5
BUSY_TIMEOUT_MS = 10_000
READ_ONLY = "instep_read_only"
"""Execution option of a connection that only reads: on SQLite its transaction then keeps nobody from writing."""

Bind = Connection | Engine
"""What tells of which database a statement is made for."""

# https://www.postgresql.org/docs/current/errcodes-appendix.html: raise_exception
_RAISED = "P0001"
# The drivers we depend on, where SQLAlchemy would choose another for a bare name.
_DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}


class Texts(UserDefinedType[Iterable[str]]):
    """The type of a parameter: PostgreSQL's text[], handed to the driver as one text, which is ten times as fast as a list.

    Source: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
    """

    cache_ok = True
    render_bind_cast = True

    def get_col_spec(self, **_kw: Any) -> str:
        """Return the type's name."""
        return "TEXT[]"

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str]:  # noqa: ARG002  as it is called
        """Return what makes the text."""
        return _array_text


def _array_text(values: Iterable[str]) -> str:
    listed = list(values)
    joined = '","'.join(listed)
    # ids and hashes have nothing that is to be escaped; what stands between them has two marks each
    if "\\" in joined or joined.count('"') > 2 * max(len(listed) - 1, 0):
        joined = '","'.join([value.replace("\\", "\\\\").replace('"', '\\"') for value in listed])
    return f'{{"{joined}"}}' if listed else "{}"


def open_engine(url: str | SecretStr, *, name: str = "instep", **options: Any) -> Engine:
    """Return an engine for a database URL; nothing connects before its first use.

    Sessions are in UTC and called `name` where the database can show it. `options` go to create_engine, over ours;
    `connect_args` in them go to the driver. Errors show no values of parameters.
    """
    parsed = make_url(url.get_secret_value() if isinstance(url, SecretStr) else url)
    parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
    connect_args = _connect_args(parsed, name) | options.pop("connect_args", {})
    settings = {"pool_pre_ping": True, "hide_parameters": True, "connect_args": connect_args} | options
    engine = create_engine(parsed, **settings)
    if parsed.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def among(bind: Bind, column: ColumnElement[Any], values: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that a text column has one of the values, which an index finds, with one parameter however many they are."""
    return (
        in_array(column, _texts(values))
        if bind.dialect.name == "postgresql"
        else _among_listed(column, values)
    )


def among_found(bind: Bind, column: ColumnElement[Any], values: Iterable[str]) -> ColumnElement[bool]:
    """Return the same condition for rows that another one beside it finds."""
    return (
        in_table(column, _texts(values))
        if bind.dialect.name == "postgresql"
        else _among_listed(column, values)
    )


def in_array(column: ColumnElement[Any], texts: BindParameter[Any]) -> ColumnElement[bool]:
    """Return PostgreSQL's form of `among`, for a parameter with the type Texts."""
    # not any_, which leaves a cycle around the values
    return column == func.any(texts, type_=Text)


def in_table(column: ColumnElement[Any], texts: BindParameter[Any]) -> ColumnElement[bool]:
    """Return PostgreSQL's form of `among_found`.

    Once there is one plan for whatever the parameters are, it compares each row with each text of an array in turn; a table of
    them it hashes.
    """
    return column.in_(select(func.unnest(texts, type_=Text)))


def _texts(values: Iterable[str]) -> BindParameter[Any]:
    return bindparam(None, list(values), type_=Texts())


def _among_listed(column: ColumnElement[Any], values: Iterable[str]) -> ColumnElement[bool]:
    listed = func.json_each(orjson.dumps(list(values)).decode()).table_valued("value")
    return column.in_(select(listed.c.value))


def refuses_values(error: DBAPIError) -> bool:
    """Whether a database does not take what it was given, so that the same work fails again; a trigger's `raise` counts."""
    return isinstance(error, DataError | IntegrityError) or getattr(error.orig, "sqlstate", "") == _RAISED


def unreachable_reason(error: DBAPIError) -> str:
    """Return in one line why a database cannot be used, in the driver's own words; where these may hold values, the error's name."""
    if refuses_values(error):
        return type(error.orig).__name__
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else type(error.orig).__name__


def _connect_args(url: URL, name: str) -> dict[str, Any]:
    match url.get_backend_name():
        case "postgresql":
            options = f"{url.query.get('options', '')} -c timezone=UTC".strip()
            return {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": name, "options": options}
        case "mysql" | "mariadb":
            return {
                "connect_timeout": CONNECT_TIMEOUT_S,
                "charset": "utf8mb4",
                "init_command": "SET time_zone = '+00:00'",
                "program_name": name,
            }
        case _:
            return {}


def _prepare_sqlite(connection: sqlite3.Connection, _entry: ConnectionPoolEntry) -> None:
    # The driver would begin transactions by guesswork; _begin_sqlite does it by rule.
    connection.isolation_level = None
    # First the patience: switching to WAL needs a moment alone.
    connection.execute(f"pragma busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = normal")
    connection.execute("pragma foreign_keys = on")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and then writes fails at once when another wrote between: who may write says so first.
    read_only = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("begin" if read_only else "begin immediate")
