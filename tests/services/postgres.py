"""PostgreSQL as the Debian package ships it, run by hand on a port and data folder of our own."""

import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg

from tests.services.process import ServerProcess, UnavailableError, free_port, make_folder, run_as

OWNER = "postgres"


@dataclass(frozen=True, slots=True)
class Postgres:
    """How to reach a PostgreSQL server; `user` is its superuser."""

    port: int
    host: str = "127.0.0.1"
    user: str = "postgres"
    password: str = "instep-test"

    def url(self, database: str, *, user: str | None = None, password: str | None = None) -> str:
        """A SQLAlchemy URL of one database, as the superuser unless a user is named."""
        login = f"{user or self.user}:{password or self.password}"
        return f"postgresql+psycopg://{login}@{self.host}:{self.port}/{database}"

    def execute(self, statement: str, *, database: str = "postgres") -> None:
        """Runs one statement by itself, outside any transaction, as the superuser."""
        with self._connect(database) as connection:
            connection.execute(statement.encode())

    def create_database(self) -> str:
        """Makes an empty database with a name of its own and returns the name."""
        name = f"instep_{uuid4().hex[:12]}"
        self.execute(f"create database {name} template template0 encoding 'UTF8'")
        return name

    def drop_database(self, name: str) -> None:
        """Drops a database, whoever is still connected."""
        self.execute(f"drop database if exists {name} with (force)")

    def answers(self) -> bool:
        """Whether the server takes connections."""
        try:
            with self._connect("postgres"):
                return True
        except psycopg.OperationalError:
            return False

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )


class PostgresServer(ServerProcess):
    """A PostgreSQL server; `kill` is an immediate shutdown of all its processes, with crash recovery at the next start."""

    def __init__(self, settings: Sequence[str] = ()) -> None:
        """Prepares the data folder; `settings` are further `name=value` options; raises UnavailableError."""
        programs = _programs()
        folder = make_folder("postgres", owner=OWNER)
        self.postgres = Postgres(free_port())
        _init_database(programs, folder, self.postgres)
        options = (
            "listen_addresses=127.0.0.1",
            f"port={self.postgres.port}",
            "unix_socket_directories=",
            "max_connections=200",
            "timezone=UTC",
            *settings,
        )
        command: list[str | Path] = [
            programs / "postgres",
            "-D",
            folder / "data",
            *(word for o in options for word in ("-c", o)),
        ]
        super().__init__(
            "postgres",
            command,
            folder=folder,
            ready=self.postgres.answers,
            owner=OWNER,
            stop_signal=signal.SIGINT,
            kill_signal=signal.SIGQUIT,
        )


def _programs() -> Path:
    """The folder of the newest installed server; raises UnavailableError."""
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if not folders:
        raise UnavailableError("no PostgreSQL server below /usr/lib/postgresql (Debian package postgresql)")
    return max(folders, key=lambda folder: int(folder.parent.name))


def _init_database(programs: Path, folder: Path, postgres: Postgres) -> None:
    user = run_as(OWNER)
    password_file = folder / "password"
    password_file.write_text(postgres.password)
    command: list[str | Path] = [
        programs / "initdb",
        *("-D", folder / "data"),
        *("-U", postgres.user, f"--pwfile={password_file}", "--auth=scram-sha-256"),
        *("-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
    ]
    subprocess.run(command, check=True, capture_output=True, cwd=folder, user=user, group=user)
