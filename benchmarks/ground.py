"""What the benchmarks stand on: services of their own, topics filled once, folders, sizes asked for."""

import platform
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.changes import Customer, expected
from benchmarks.targets import Database, Target
from benchmarks.topics import Format, Topic, fill
from tests.services.kafka import Kafka, KafkaServer
from tests.services.mariadb import MariaDb, MariaDbServer
from tests.services.postgres import Postgres, PostgresServer
from tests.services.process import ServerProcess
from tests.services.registry import Registry, RegistryServer
from tests.services.running import RunningServices, read_addresses

# As Kafka has it by default: both processes of a side are in the group before it begins.
_KAFKA = {"group.initial.rebalance.delay.ms": "3000"}


@dataclass(frozen=True, slots=True)
class Services:
    """One of each service; a benchmark has no use for a machine without one."""

    kafka: Kafka
    postgres: Postgres
    mariadb: MariaDb
    registry: Registry

    @staticmethod
    def of(running: RunningServices) -> "Services":
        """Return running services; raises ValueError where one is missing."""
        found = (running.kafka, running.postgres, running.mariadb, running.registry)
        match found:
            case (Kafka() as kafka, Postgres() as postgres, MariaDb() as mariadb, Registry() as registry):
                return Services(kafka, postgres, mariadb, registry)
        raise ValueError("a service is missing; see `python -m tests.services install`")


@dataclass(slots=True)
class Ground:
    """Services and sizes; `turns` of each side, `changes` in a topic."""

    services: Services
    folder: Path
    changes: int
    turns: int
    results: Path
    _topics: dict[tuple[Format, int, int], Topic] = field(default_factory=dict)
    _expected: dict[tuple[int, int], dict[str, Customer]] = field(default_factory=dict)
    _databases: list[str] = field(default_factory=list)
    _folders: int = 0

    @property
    def bootstrap(self) -> str:
        """The broker."""
        return self.services.kafka.bootstrap

    @property
    def registry(self) -> str:
        """The root of Confluent's API."""
        return self.services.registry.url

    def topic(self, form: Format, changes: int | None = None, *, one_bad_in: int = 0) -> Topic:
        """Return a topic with the changes in a format, filled the first time that it is asked for."""
        wanted = (form, changes or self.changes, one_bad_in)
        if wanted not in self._topics:
            print(f"filling a topic: {wanted[1]:,} changes, {form}", flush=True)
            self._topics[wanted] = fill(self.bootstrap, self.registry, form, wanted[1], one_bad_in=one_bad_in)
        return self._topics[wanted]

    def expected(self, topic: Topic) -> dict[str, Customer]:
        """Return the rows a target has after a topic."""
        wanted = (topic.changes, topic.one_bad_in)
        if wanted not in self._expected:
            self._expected[wanted] = expected(topic.changes, one_bad_in=topic.one_bad_in)
        return self._expected[wanted]

    def target(self, database: Database) -> Target:
        """Return a database of one's own for the table."""
        match database:
            case Database.POSTGRES:
                return Target.at(database, self.new_postgres_url())
            case Database.MARIADB:
                return Target.at(database, self.services.mariadb.url(self.services.mariadb.create_database()))
            case Database.SQLITE:
                return Target.at(database, f"sqlite:///{self.new_folder()}/target.db")

    def new_postgres_url(self) -> str:
        """Return the URL of a new, empty PostgreSQL database; dropped in the end."""
        name = self.services.postgres.create_database()
        self._databases.append(name)
        return self.services.postgres.url(name)

    def new_folder(self) -> Path:
        """Return a new folder, empty."""
        self._folders += 1
        folder = self.folder / str(self._folders)
        folder.mkdir()
        return folder

    def close(self) -> None:
        """Drop the databases that were made."""
        for name in self._databases:
            self.services.postgres.drop_database(name)


@contextmanager
def open_ground(services_file: Path | None, changes: int, turns: int, results: Path) -> Iterator[Ground]:
    """Start services of our own, with the optimizing compiler that tests leave out, or use running ones from a file."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="instep-bench-")))
        services = Services.of(read_addresses(services_file)) if services_file else _start_services(stack)
        ground = Ground(services, folder, changes, turns, results)
        stack.callback(ground.close)
        yield ground


def _start_services(stack: ExitStack) -> Services:
    kafka = KafkaServer(_KAFKA, java_options=())
    postgres, mariadb, registry = PostgresServer(), MariaDbServer(), RegistryServer()
    servers: tuple[ServerProcess, ...] = (kafka, postgres, mariadb, registry)
    for server in servers:
        stack.callback(server.remove)
        server.start()
    return Services(kafka.kafka, postgres.postgres, mariadb.mariadb, registry.registry)


def machine() -> str:
    """Return what the numbers were taken on, in a line."""
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "?",
    )
    cores = subprocess.run(["nproc"], check=True, capture_output=True, text=True).stdout.strip()
    memory = int(Path("/proc/meminfo").read_text().split()[1]) >> 20
    return f"{cores} cores ({cpu}), {memory} GB, Python {platform.python_version()}, Linux {platform.release().split('-')[0]}"
