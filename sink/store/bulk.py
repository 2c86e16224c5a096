"""Many rows in one go: COPY on PostgreSQL, executemany on SQLite."""

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Integer,
    LargeBinary,
    String,
    Table,
    Update,
    bindparam,
    column,
    update,
)
from sqlalchemy import table as sql_table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from plumbing.database import among, among_found

__all__ = ["Row", "among", "among_found", "insert_of", "insert_rows", "update_rows", "upsert_rows"]

Row = Sequence[Any]

# for so few a table to copy them into costs more than it saves
_FEW_ROWS = 10
_WIRE_TYPES: tuple[tuple[type, str], ...] = (
    (BigInteger, "int8"),
    (Integer, "int4"),
    (Boolean, "bool"),
    (LargeBinary, "bytea"),
    (String, "text"),
)


def insert_rows(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Insert rows that have every column, in the table's order; raises IntegrityError when one is there already."""
    names = [column.name for column in table.columns]
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        _copy(connection, table, table.name, names, rows)
    else:
        marks = ", ".join("?" * len(names))
        connection.exec_driver_sql(
            f"INSERT INTO {table.name} ({_listed(names)}) VALUES ({marks})",  # noqa: S608  our own names
            [tuple(row) for row in rows],
        )


def update_rows(
    connection: Connection,
    table: Table,
    names: Sequence[str],
    rows: Sequence[Row],
    *only: ColumnElement[bool],
) -> None:
    """Set columns of rows that exist, and for which the conditions `only` hold; the first of `names` is the key."""
    if not rows:
        return
    key, *values = names
    if connection.dialect.name == "postgresql":
        staged = _stage(connection, table, names, rows)
        connection.execute(_update_from(staged, table, tuple(names)).where(*only))
        connection.exec_driver_sql(f"TRUNCATE {staged}")
    else:
        given: dict[str, BindParameter[Any]] = {name: bindparam(f"new_{name}") for name in names}
        change = update(table).values({name: given[name] for name in values})
        connection.execute(
            change.where(table.c[key] == given[key], *only),
            [dict(zip((f"new_{name}" for name in names), row, strict=True)) for row in rows],
        )


def upsert_rows(
    connection: Connection, table: Table, key: Sequence[str], rows: Sequence[Row], on_conflict: str
) -> None:
    """Insert rows that have every column; where `key` exists, do what `on_conflict` says (an SQL fragment after DO)."""
    if not rows:
        return
    names = [column.name for column in table.columns]
    conflict = f"ON CONFLICT ({_listed(key)}) DO {on_conflict}"
    if connection.dialect.name == "postgresql" and len(rows) <= _FEW_ROWS:
        row = f"({', '.join(['%s'] * len(names))})"
        connection.exec_driver_sql(
            f"INSERT INTO {table.name} ({_listed(names)}) VALUES {', '.join([row] * len(rows))} {conflict}",  # noqa: S608  our own names
            tuple(chain.from_iterable(rows)),
        )
    elif connection.dialect.name == "postgresql":
        staged = _stage(connection, table, names, rows)
        source = f"SELECT {_listed(names)} FROM {staged} ORDER BY {_listed(key)}"  # noqa: S608  our own names
        connection.exec_driver_sql(f"INSERT INTO {table.name} ({_listed(names)}) {source} {conflict}")
        connection.exec_driver_sql(f"TRUNCATE {staged}")
    else:
        marks = ", ".join("?" * len(names))
        connection.exec_driver_sql(
            f"INSERT INTO {table.name} ({_listed(names)}) VALUES ({marks}) {conflict}",  # noqa: S608  our own names
            [tuple(row) for row in rows],
        )


def insert_of(connection: Connection) -> Any:
    """Return the insert of the connection's dialect, which has `on_conflict_do_nothing`."""
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert


@cache
def _update_from(staged: str, table: Table, names: tuple[str, ...]) -> Update:
    new = sql_table(staged, *(column(name) for name in names))
    key, *values = names
    return update(table).values({name: new.c[name] for name in values}).where(table.c[key] == new.c[key])


def _stage(connection: Connection, table: Table, names: Sequence[str], rows: Sequence[Row]) -> str:
    staged = f"{table.name}_staged"
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE IF NOT EXISTS {staged} ON COMMIT DELETE ROWS "  # noqa: S608  our own names
        f"AS SELECT * FROM {table.name} WITH NO DATA"
    )
    _copy(connection, table, staged, names, rows)
    return staged


def _copy(
    connection: Connection, table: Table, target: str, names: Sequence[str], rows: Sequence[Row]
) -> None:
    driver: Any = connection.connection.driver_connection
    driver_error: type[Exception] = connection.dialect.loaded_dbapi.Error
    statement = f"COPY {target} ({_listed(names)}) FROM STDIN (FORMAT BINARY)"
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types([_wire_type(table.columns[name]) for name in names])
            write_row = copy.write_row
            for row in rows:
                write_row(row)
    except driver_error as error:
        # of its own statements SQLAlchemy raises its own errors, by which all others tell what is the case
        raise DBAPIError.instance(statement, None, error, driver_error, hide_parameters=True) from error


def _wire_type(column: Column[Any]) -> str:
    return next(name for kind, name in _WIRE_TYPES if isinstance(column.type, kind))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
