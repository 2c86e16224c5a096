"""The databases that the contract is tried on."""

import sqlite3
from collections.abc import Iterator

import pytest

from tests.contract.connectors.target import Target
from worker.connectors.protocol import Connector


@pytest.fixture(params=["postgres", "mariadb", "sqlite"])
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    yield from _target(request, request.param)


@pytest.fixture(params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest) -> Iterator[Target]:
    """A database behind a server, where locks are a matter of rows."""
    yield from _target(request, request.param)


@pytest.fixture
def connector(target: Target) -> Connector:
    return target.open()


def _target(request: pytest.FixtureRequest, dialect: str) -> Iterator[Target]:
    match dialect:
        case "postgres":
            url = request.getfixturevalue("pg_database")
        case "mariadb":
            url = request.getfixturevalue("mariadb_database")
        case _:
            path = request.getfixturevalue("sqlite_path")
            sqlite3.connect(path).close()
            url = f"sqlite:///{path}"
    found = Target(dialect, url)
    yield found
    for connector in found.connectors:
        connector.close()
