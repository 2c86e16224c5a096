"""How a store is brought to the newest version of its tables."""

import threading
import zlib

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

# Alembic keeps its context in module globals: two threads of one process must not migrate at once.
_one_at_a_time = threading.Lock()


def upgrade(engine: Engine, package: str, version_table: str) -> tuple[str | None, str | None]:
    """Run the migrations of `package` (as "sink:migrations") that are due; return the versions before and after.

    `env.py` of the package finds the open connection in `context.config.attributes["connection"]`, and the name of the
    version table in `["version_table"]`. One process at a time does it. Raises SQLAlchemy's DBAPIError.
    """
    with _one_at_a_time, engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            lock = {"lock": zlib.crc32(version_table.encode())}
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), lock)
        before = _present(connection, version_table)
        command.upgrade(_config(package, version_table, connection), "head")
        return before, _present(connection, version_table)


def versions(engine: Engine, package: str, version_table: str) -> tuple[str | None, str | None]:
    """Return the version that the store has, and the one that this program needs."""
    with engine.connect() as connection:
        present = _present(connection, version_table)
        needed = ScriptDirectory.from_config(_config(package, version_table, connection)).get_current_head()
    return present, needed


def _present(connection: Connection, version_table: str) -> str | None:
    return MigrationContext.configure(
        connection, opts={"version_table": version_table}
    ).get_current_revision()


def _config(package: str, version_table: str, connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", package)
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["version_table"] = version_table
    return config
