"""Fixtures for real services and for names of their own in them.

Session-wide: `kafka`, `postgres`, `mariadb`, `registry`; tests share them and keep apart by names. Per module: `browser`.
Per test: `topic` (makes topics), `pg_database`, `mariadb_database`, `sqlite_path`.
Per test and always fresh, for tests that stop or kill them: `own_kafka`, `own_postgres`, `own_mariadb`.
A service that cannot be had skips its tests, and the end of the run says so; with CI set it fails them.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser

from tests.services.chromium import chromium
from tests.services.kafka import Kafka, KafkaServer
from tests.services.mariadb import MariaDb, MariaDbServer
from tests.services.missing import MISSING, refuse
from tests.services.postgres import Postgres, PostgresServer
from tests.services.process import ServerProcess, UnavailableError
from tests.services.registry import Registry, RegistryServer
from tests.services.running import RunningServices, read_addresses

Server = TypeVar("Server", bound=ServerProcess)


class CreateTopic(Protocol):
    """Creates a topic whose name starts with `name` and returns the whole name."""

    def __call__(
        self, name: str = "topic", *, partitions: int = 1, config: dict[str, str] | None = None
    ) -> str: ...


def pytest_configure(config: pytest.Config) -> None:
    # Whoever ends the run by SIGTERM still gets the services stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    config.stash[MISSING] = {}
    # How long an example takes says more about the machine than about us.
    settings.register_profile("instep", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("instep")


def pytest_sessionfinish(session: pytest.Session) -> None:
    # where the tests run side by side in several processes, each tells the first one
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["missing"] = session.config.stash[MISSING]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[MISSING].update(node.workeroutput.get("missing", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    missing = config.stash[MISSING]
    if missing:
        terminalreporter.section("SERVICES MISSING, THEIR TESTS DID NOT RUN", sep="!", red=True)
    for service, reason in missing.items():
        terminalreporter.line(f"{service}: {reason}", red=True)


@pytest.fixture(scope="session")
def running() -> RunningServices | None:
    """The services that INSTEP_TEST_SERVICES points to (see `python -m tests.services up`)."""
    file = os.environ.get("INSTEP_TEST_SERVICES")
    return read_addresses(Path(file)) if file else None


@pytest.fixture(scope="session")
def kafka(running: RunningServices | None, request: pytest.FixtureRequest) -> Iterator[Kafka]:
    if running is not None and running.kafka is not None:
        yield running.kafka
        return
    with started(KafkaServer, request) as server:
        yield server.kafka


@pytest.fixture(scope="session")
def postgres(running: RunningServices | None, request: pytest.FixtureRequest) -> Iterator[Postgres]:
    if running is not None and running.postgres is not None:
        yield running.postgres
        return
    with started(PostgresServer, request) as server:
        yield server.postgres


@pytest.fixture(scope="session")
def mariadb(running: RunningServices | None, request: pytest.FixtureRequest) -> Iterator[MariaDb]:
    if running is not None and running.mariadb is not None:
        yield running.mariadb
        return
    with started(MariaDbServer, request) as server:
        yield server.mariadb


@pytest.fixture(scope="session")
def registry(running: RunningServices | None, request: pytest.FixtureRequest) -> Iterator[Registry]:
    if running is not None and running.registry is not None:
        yield running.registry
        return
    with started(RegistryServer, request) as server:
        yield server.registry


@pytest.fixture
def own_kafka(request: pytest.FixtureRequest) -> Iterator[KafkaServer]:
    with started(KafkaServer, request) as server:
        yield server


@pytest.fixture
def own_postgres(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    with started(PostgresServer, request) as server:
        yield server


@pytest.fixture
def own_mariadb(request: pytest.FixtureRequest) -> Iterator[MariaDbServer]:
    with started(MariaDbServer, request) as server:
        yield server


@pytest.fixture
def topic(kafka: Kafka) -> CreateTopic:
    def create(name: str = "topic", *, partitions: int = 1, config: dict[str, str] | None = None) -> str:
        whole_name = f"{name}.{uuid4().hex[:12]}"
        kafka.create_topic(whole_name, partitions=partitions, config=config)
        return whole_name

    return create


@pytest.fixture
def pg_database(postgres: Postgres) -> Iterator[str]:
    """The SQLAlchemy URL of an empty PostgreSQL database."""
    name = postgres.create_database()
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture(params=["postgresql", "sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The SQLAlchemy URL of an empty database, on PostgreSQL and on SQLite in turn."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("pg_database"))
    return f"sqlite:///{tmp_path}/database.db"


@pytest.fixture
def mariadb_database(mariadb: MariaDb) -> Iterator[str]:
    """The SQLAlchemy URL of an empty MariaDB database."""
    name = mariadb.create_database()
    yield mariadb.url(name)
    mariadb.drop_database(name)


@pytest.fixture
def sqlite_path(tmp_path: Path) -> Path:
    """Where a test's SQLite file may be made."""
    return tmp_path / "app.db"


@pytest.fixture(scope="module")
def browser(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """A Chromium; a module's own, as Playwright keeps an event loop in its thread."""
    try:
        with chromium() as found:
            yield found
    except UnavailableError as reason:
        refuse(request, "Chromium", str(reason))


@contextmanager
def started(create: Callable[[], Server], request: pytest.FixtureRequest) -> Iterator[Server]:
    """A running server, removed after; skips the test (fails it when CI is set) if it cannot be had."""
    try:
        server = create()
    except UnavailableError as reason:
        refuse(request, create.__name__, str(reason))
    try:
        server.start()
        yield server
    finally:
        server.remove()
