"""Addresses of services that keep running between test runs, and the file that holds them."""

import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from tests.services.kafka import Kafka, KafkaServer
from tests.services.mariadb import MariaDb, MariaDbServer
from tests.services.postgres import Postgres, PostgresServer
from tests.services.process import ServerProcess, UnavailableError
from tests.services.registry import Registry, RegistryServer

Server = TypeVar("Server", bound=ServerProcess)
Address = TypeVar("Address")


@dataclass(frozen=True, slots=True)
class RunningServices:
    """One of each service; None for one that this machine has not."""

    kafka: Kafka | None
    postgres: Postgres | None
    mariadb: MariaDb | None
    registry: Registry | None


def start_all(stack: ExitStack) -> RunningServices:
    """Starts one of each that can be had; the stack removes them in the end; raises NotStartedError."""
    kafka = _start(KafkaServer, stack)
    postgres = _start(PostgresServer, stack)
    mariadb = _start(MariaDbServer, stack)
    registry = _start(RegistryServer, stack)
    return RunningServices(
        kafka.kafka if kafka is not None else None,
        postgres.postgres if postgres is not None else None,
        mariadb.mariadb if mariadb is not None else None,
        registry.registry if registry is not None else None,
    )


def _start(create: Callable[[], Server], stack: ExitStack) -> Server | None:
    try:
        server = create()
    except UnavailableError:
        return None
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

    def address(kind: Callable[..., Address], name: str) -> Address | None:
        return kind(**content[name]) if content[name] is not None else None

    return RunningServices(
        address(Kafka, "kafka"),
        address(Postgres, "postgres"),
        address(MariaDb, "mariadb"),
        address(Registry, "registry"),
    )
