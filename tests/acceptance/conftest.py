"""Fixtures of the whole system: apps on each kind of database, and worlds that use them."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.world import MakeWorld, closing_worlds
from tests.contract.connectors.target import Target
from tests.services.kafka import Kafka


@pytest.fixture
def make_world(kafka: Kafka, tmp_path: Path) -> Iterator[MakeWorld]:
    """Makes worlds: `make_world({"customers": mapping("customers")}, crm)`; see World for the settings."""
    with closing_worlds(tmp_path, kafka.bootstrap) as make:
        yield make


@pytest.fixture
def pg_crm(pg_database: str) -> Target:
    """An empty PostgreSQL database to write to."""
    return Target("postgres", pg_database)


@pytest.fixture
def mariadb_crm(mariadb_database: str) -> Target:
    """An empty MariaDB database to write to."""
    return Target("mariadb", mariadb_database)


@pytest.fixture
def sqlite_crm(sqlite_path: Path) -> Target:
    """An empty SQLite database to write to."""
    sqlite3.connect(sqlite_path).close()
    return Target("sqlite", f"sqlite:///{sqlite_path}")


@pytest.fixture(params=["postgres", "mariadb", "sqlite"])
def crm(request: pytest.FixtureRequest) -> Target:
    """An empty database of each kind in turn."""
    name = {"postgres": "pg_crm", "mariadb": "mariadb_crm", "sqlite": "sqlite_crm"}[request.param]
    found: Target = request.getfixturevalue(name)
    return found


@pytest.fixture(params=["postgres", "mariadb"])
def server_crm(request: pytest.FixtureRequest) -> Target:
    """An empty database of each kind that is a server."""
    found: Target = request.getfixturevalue({"postgres": "pg_crm", "mariadb": "mariadb_crm"}[request.param])
    return found
