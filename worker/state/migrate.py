"""Bring a state store to the newest version of its tables."""

from sqlalchemy import Engine

from plumbing import migration
from worker.state.tables import VERSION_TABLE

_PACKAGE = "worker.state:migrations"


def upgrade(engine: Engine) -> tuple[str | None, str | None]:
    """Run the migrations that are due, one process at a time; returns the versions before and after.

    Raises SQLAlchemy's DBAPIError when the database is out of reach.
    """
    return migration.upgrade(engine, _PACKAGE, VERSION_TABLE)


def versions(engine: Engine) -> tuple[str | None, str | None]:
    """Return the version the store has, and the one this program needs."""
    return migration.versions(engine, _PACKAGE, VERSION_TABLE)
