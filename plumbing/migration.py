"""How a store is brought to the newest version of its tables, and how to know which version it has."""

import re
import zlib
from importlib.resources import files

from sqlalchemy import Connection, Engine, inspect, text

# The file of a migration starts with its version: 0001_main_path.py.
_MIGRATION = re.compile(r"(\d+)_\w+\.py")


def upgrade(engine: Engine, package: str, version_table: str) -> tuple[str | None, str | None]:
    """Run the migrations of `package` (as "sink:migrations") that are due; return the versions before and after.

    `env.py` of the package finds the open connection in `context.config.attributes["connection"]`, and the name of the
    version table in `["version_table"]`. One process at a time does it. Raises SQLAlchemy's DBAPIError.
    """
    newest = _newest(package)
    with engine.connect() as connection:
        if _present(connection, version_table) == newest:
            return newest, newest
    from plumbing.alembic_upgrade import (  # noqa: PLC0415  who has nothing to migrate need not wait for Alembic to load
        one_at_a_time,
        upgrade_to_head,
    )

    with one_at_a_time, engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            lock = {"lock": zlib.crc32(version_table.encode())}
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), lock)
        before = _present(connection, version_table)
        upgrade_to_head(connection, package, version_table)
        return before, _present(connection, version_table)


def versions(engine: Engine, package: str, version_table: str) -> tuple[str | None, str | None]:
    """Return the version that the store has, and the one that this program needs."""
    with engine.connect() as connection:
        return _present(connection, version_table), _newest(package)


def _present(connection: Connection, version_table: str) -> str | None:
    if not inspect(connection).has_table(version_table):
        return None
    found = connection.execute(text(f"select version_num from {version_table}")).scalar()  # noqa: S608  ours
    return None if found is None else str(found)


def _newest(package: str) -> str | None:
    room, _, folder = package.partition(":")
    names = [file.name for file in files(room).joinpath(folder, "versions").iterdir()]
    return max((found[1] for name in names if (found := _MIGRATION.fullmatch(name))), default=None)
