"""Addresses of services that keep running between test runs, and the file that holds them."""

import json
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from tests.services.kafka import Kafka, KafkaServer
from tests.services.mariadb import MariaDb, MariaDbServer
from tests.services.postgres import Postgres, PostgresServer
from tests.services.process import ServerProcess
from tests.services.registry import Registry, RegistryServer

Server = TypeVar("Server", bound=ServerProcess)


@dataclass(frozen=True, slots=True)
class RunningServices:
    """One of each service."""

    kafka: Kafka
    postgres: Postgres
    mariadb: MariaDb
    registry: Registry


def start_all(stack: ExitStack) -> RunningServices:
    """Starts one of each; the stack removes them in the end; raises UnavailableError or NotStartedError."""
    kafka = _start(KafkaServer(), stack)
    postgres = _start(PostgresServer(), stack)
    mariadb = _start(MariaDbServer(), stack)
    registry = _start(RegistryServer(), stack)
    return RunningServices(kafka.kafka, postgres.postgres, mariadb.mariadb, registry.registry)


def _start(server: Server, stack: ExitStack) -> Server:
    stack.callback(server.remove)
    server.start()
    return server


def write_addresses(services: RunningServices, file: Path) -> None:
    """Writes the file at one go, so that nobody reads half of it."""
    unfinished = file.with_suffix(".new")
    unfinished.write_text(json.dumps(asdict(services), indent=2))
    unfinished.replace(file)


def read_addresses(file: Path) -> RunningServices:
    """The services that a file written by `write_addresses` names."""
    content = json.loads(file.read_text())
    return RunningServices(
        Kafka(**content["kafka"]),
        Postgres(**content["postgres"]),
        MariaDb(**content["mariadb"]),
        Registry(**content["registry"]),
    )
