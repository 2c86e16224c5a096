"""The part of migrating that needs Alembic, which takes a while to load: only what migrates imports this."""

import threading

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

# Alembic keeps its context in module globals: two threads of one process must not migrate at once.
one_at_a_time = threading.Lock()


def upgrade_to_head(connection: Connection, package: str, version_table: str) -> None:
    """Run the migrations that are due; the caller holds `one_at_a_time` and keeps other processes out."""
    config = Config()
    config.set_main_option("script_location", package)
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["version_table"] = version_table
    command.upgrade(config, "head")
