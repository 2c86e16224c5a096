"""MariaDB as the Debian package ships it, run by hand on a port and data folder of our own."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pymysql

from tests.services.process import ServerProcess, UnavailableError, free_port, make_folder, run_as

OWNER = "mysql"
# InnoDB looks at its transactions anew only when nobody has asked for 0.1 s: who asks more often sees none that came since
# Source: storage/innobase/trx/trx0i_s.cc, CACHE_MIN_IDLE_TIME_NS
LOCKS_SHOWN_AFTER_S = 0.15
# Debian keeps servers out of the path of ordinary users.
_PATH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"


@dataclass(frozen=True, slots=True)
class MariaDb:
    """How to reach a MariaDB server; `user` may do everything."""

    port: int
    host: str = "127.0.0.1"
    user: str = "instep_admin"
    password: str = "instep-test"

    def url(self, database: str, *, user: str | None = None, password: str | None = None) -> str:
        """A SQLAlchemy URL of one database, as the admin unless a user is named."""
        login = f"{user or self.user}:{password or self.password}"
        return f"mariadb+pymysql://{login}@{self.host}:{self.port}/{database}?charset=utf8mb4"

    def execute(self, statement: str) -> None:
        """Runs one statement as the admin."""
        connection = self._connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
        finally:
            connection.close()

    def create_database(self) -> str:
        """Makes an empty database with a name of its own and returns the name."""
        name = f"instep_{uuid4().hex[:12]}"
        self.execute(f"create database {name}")
        return name

    def drop_database(self, name: str) -> None:
        """Drops a database after ending the connections that still use it and could hold its locks."""
        connection = self._connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute("select id from information_schema.processlist where db = %s", (name,))
                for (connection_id,) in cursor.fetchall():
                    cursor.execute(f"kill connection {connection_id}")
                cursor.execute(f"drop database if exists {name}")
        finally:
            connection.close()

    def answers(self) -> bool:
        """Whether the server takes connections."""
        try:
            self._connect().close()
        except pymysql.err.OperationalError:
            return False
        return True

    def _connect(self) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            autocommit=True,
            connect_timeout=5,
        )


class MariaDbServer(ServerProcess):
    """A MariaDB server."""

    def __init__(self, settings: Sequence[str] = ()) -> None:
        """Prepares the data folder; `settings` are further `--name=value` options; raises UnavailableError."""
        server = shutil.which("mariadbd", path=_PATH)
        install = shutil.which("mariadb-install-db", path=_PATH)
        if server is None or install is None:
            raise UnavailableError("no MariaDB server (Debian package mariadb-server)")
        folder = make_folder("mariadb", owner=OWNER)
        self.mariadb = MariaDb(free_port())
        _init_database(install, folder, self.mariadb)
        command = [
            server,
            "--no-defaults",
            f"--datadir={folder / 'data'}",
            f"--socket={folder / 'socket'}",
            f"--pid-file={folder / 'pid'}",
            f"--port={self.mariadb.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_general_ci",
            f"--init-file={folder / 'users.sql'}",
            *settings,
        ]
        super().__init__("mariadb", command, folder=folder, ready=self.mariadb.answers, owner=OWNER)


def _init_database(install: str, folder: Path, mariadb: MariaDb) -> None:
    user = run_as(OWNER)
    (folder / "users.sql").write_text(
        f"create user if not exists '{mariadb.user}'@'%' identified by '{mariadb.password}';\n"
        f"grant all on *.* to '{mariadb.user}'@'%' with grant option;\n"
    )
    command = [
        install,
        "--no-defaults",
        f"--datadir={folder / 'data'}",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ]
    subprocess.run(command, check=True, capture_output=True, cwd=folder, user=user, group=user)
