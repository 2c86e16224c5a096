"""What is wrong with our access to a database of MariaDB or MySQL."""

# ruff: noqa: S608  the parts of these statements are quoted names, our own words and numbers

from collections.abc import Sequence
from typing import Any

import pymysql
from pymysql.connections import Connection

from worker.connectors.sql.quoting import backquoted
from worker.connectors.sql.table import Table
from worker.fault import Fault

_EXPIRES_SOON_DAYS = 14
# Only an administrator may read it; MariaDB shows the date of the last change nowhere else.
_EXPIRY = """
select datediff(from_unixtime(json_value(priv, '$.password_last_changed')) + interval coalesce(
  nullif(json_value(priv, '$.password_lifetime'), -1), @@default_password_lifetime) day, now())
from mysql.global_priv where concat(user, '@', host) = current_user()
and coalesce(nullif(json_value(priv, '$.password_lifetime'), -1), @@default_password_lifetime) > 0"""
_DENIED = frozenset({1044, 1142, 1143, 1227})


def check(connection: "Connection[Any]", tables: Sequence[Table], *, is_mariadb: bool) -> list[Fault]:
    """Return the faults of our account and of its privileges on these tables."""
    faults = _account(connection, is_mariadb=is_mariadb)
    for table in tables:
        missing = [name for name, probe in _probes(table) if not _may(connection, probe)]
        if missing:
            faults.append(
                Fault(
                    "permission_denied",
                    {"entity": table.description.entity, "privileges": ", ".join(missing)},
                )
            )
    if not _may(connection, "CREATE TEMPORARY TABLE IF NOT EXISTS instep_probe (n int)"):
        faults.append(
            Fault(
                "permission_denied", {"entity": "temporary tables", "privileges": "CREATE TEMPORARY TABLES"}
            )
        )
    return faults


def _account(connection: "Connection[Any]", *, is_mariadb: bool) -> list[Fault]:
    with connection.cursor() as cursor:
        cursor.execute("SHOW GRANTS")
        grants = [str(row[0]) for row in cursor.fetchall()]
        cursor.execute("SELECT current_user()")
        row = cursor.fetchone()
        user = str(row[0]) if row else ""
    faults = []
    if any(" ON *.* " in grant and ("ALL PRIVILEGES" in grant or "SUPER" in grant) for grant in grants):
        faults.append(Fault("integration_user_is_admin", {"user": user}))
    days = _days_left(connection) if is_mariadb else None
    if days is not None and days <= _EXPIRES_SOON_DAYS:
        faults.append(Fault("password_expired", {"user": user, "days": str(max(0, days))}))
    return faults


def _days_left(connection: "Connection[Any]") -> int | None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(_EXPIRY)
            row = cursor.fetchone()
    except pymysql.err.MySQLError:
        return None
    return int(row[0]) if row and row[0] is not None else None


def _probes(table: Table) -> list[tuple[str, str]]:
    """Statements that touch no row and need one privilege each."""
    column = backquoted(next(name for name, described in table.columns.items() if not described.generated))
    return [
        ("SELECT", f"SELECT {column} FROM {table.name} LIMIT 0"),
        ("INSERT", f"INSERT INTO {table.name} ({column}) SELECT {column} FROM {table.name} LIMIT 0"),
        ("UPDATE", f"UPDATE {table.name} SET {column} = {column} WHERE 1 = 0"),
        ("DELETE", f"DELETE FROM {table.name} WHERE 1 = 0"),
    ]


def _may(connection: "Connection[Any]", statement: str) -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    except pymysql.err.MySQLError as error:
        # Privileges come first: any other objection is none to our access.
        return not (error.args and error.args[0] in _DENIED)
    return True
