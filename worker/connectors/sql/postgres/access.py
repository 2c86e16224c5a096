"""What is wrong with our access to a PostgreSQL database."""

# ruff: noqa: S608  the parts of these statements are quoted names, our own words and numbers

from collections.abc import Sequence
from typing import Any

import psycopg

from worker.connectors.sql.table import Table
from worker.fault import Fault

_EXPIRES_SOON_DAYS = 14
_ROLE = f"""
select rolname, rolsuper, case when rolvaliduntil < now() + interval '{_EXPIRES_SOON_DAYS} days'
  then ceil(extract(epoch from rolvaliduntil - now()) / 86400)::int end
from pg_catalog.pg_roles where rolname = current_user"""
_PRIVILEGES = """
select p from unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p
where not has_schema_privilege(%(schema)s, 'USAGE') or not has_table_privilege(%(table)s, p)
  and (p = 'DELETE' or not has_any_column_privilege(%(table)s, p))"""
_TEMPORARY = "select has_database_privilege(current_database(), 'TEMPORARY')"


def check(connection: psycopg.Connection[Any], tables: Sequence[Table]) -> list[Fault]:
    """Return the faults of our role and of its privileges on these tables."""
    faults = []
    for role, superuser, days in connection.execute(_ROLE).fetchall():
        if superuser:
            faults.append(Fault("integration_user_is_admin", {"user": role}))
        if days is not None:
            faults.append(Fault("password_expired", {"user": role, "days": str(max(0, days))}))
    for table in tables:
        missing = [row[0] for row in connection.execute(_PRIVILEGES, _names(table)).fetchall()]
        if missing:
            faults.append(
                Fault(
                    "permission_denied",
                    {"entity": table.description.entity, "privileges": ", ".join(missing)},
                )
            )
    row = connection.execute(_TEMPORARY).fetchone()
    if row is not None and not row[0]:
        faults.append(Fault("permission_denied", {"entity": "temporary tables", "privileges": "TEMPORARY"}))
    return faults


def _names(table: Table) -> dict[str, str]:
    return {"table": table.name, "schema": table.schema}
