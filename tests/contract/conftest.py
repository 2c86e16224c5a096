"""Stores that are migrated once and emptied or copied for each test, as migrating takes longer than most tests."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from sink.store.migrate import upgrade
from sink.store.store import Store, open_store
from sink.store.tables import metadata
from tests.services.postgres import Postgres


@pytest.fixture(scope="session")
def migrated_postgres(postgres: Postgres) -> Iterator[str]:
    """The SQLAlchemy URL of a PostgreSQL database with the tables of a store."""
    name = postgres.create_database()
    url = postgres.url(name)
    _migrate(url)
    yield url
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a SQLite database with the tables of a store."""
    file = tmp_path_factory.mktemp("store") / "migrated.db"
    _migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
def postgres_store(migrated_postgres: str) -> Iterator[Store]:
    """An empty store of the sink in PostgreSQL."""
    opened = open_store(migrated_postgres)
    _empty(opened)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_store(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Store]:
    """An empty store of the sink in SQLite."""
    file = tmp_path / "database.db"
    shutil.copy(migrated_sqlite, file)
    opened = open_store(f"sqlite:///{file}")
    yield opened
    opened.close()


@pytest.fixture(params=["postgresql", "sqlite"])
def store(request: pytest.FixtureRequest) -> Store:
    """An empty store of the sink, on either database."""
    name = {"postgresql": "postgres_store", "sqlite": "sqlite_store"}[request.param]
    found: Store = request.getfixturevalue(name)
    return found


def _migrate(url: str) -> None:
    migrated = open_store(url)
    upgrade(migrated.engine)
    migrated.close()


def _empty(store: Store) -> None:
    with store.writing() as connection:
        # without the triggers, which count what is deleted
        connection.execute(text("set local session_replication_role = replica"))
        for table in metadata.tables.values():
            connection.execute(table.delete())
