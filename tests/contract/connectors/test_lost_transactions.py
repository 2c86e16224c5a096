"""The database takes back the whole transaction, savepoints and all: nothing is lost, and one record is to blame."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import started
from tests.contract.connectors.target import Target, codes, counts, put, written
from tests.services.mariadb import MariaDbServer
from worker.connectors.protocol import Connector, Interrupted

COLUMNS = ("id", "name")
ROWS = [(number, "new") for number in range(1, 8)]


@pytest.fixture(scope="module")
def strict_server(request: pytest.FixtureRequest) -> Iterator[MariaDbServer]:
    """A MariaDB server where a lock that is waited for too long ends the transaction."""

    def strict_mariadb() -> MariaDbServer:
        return MariaDbServer(["--innodb-rollback-on-timeout=1", "--innodb-buffer-pool-size=32M"])

    with started(strict_mariadb, request) as server:
        yield server


@pytest.fixture
def strict(strict_server: MariaDbServer) -> Iterator[Target]:
    where = strict_server.mariadb
    name = where.create_database()
    target = Target("mariadb", where.url(name))
    target.execute("create table customer (id int primary key, name varchar(20))")
    yield target
    for connector in target.connectors:
        connector.close()
    where.drop_database(name)


def test_a_lock_that_ends_the_transaction_interrupts_a_bulk_that_is_checked_ahead(strict: Target) -> None:
    strict.execute("create table only (id int primary key, name varchar(20), unique (name))")
    connector = strict.open(lock_timeout_s=1)
    connector.write(put("only", COLUMNS, (1, "same"), (2, "same")))
    holder = strict.connect()
    holder.begin()
    holder.cursor().execute("insert into only values (4, 'theirs')")

    answer = connector.write(put("only", COLUMNS, (3, "c"), (4, "d"), (5, "e")))

    assert isinstance(answer, Interrupted)
    assert answer.fault.code == "lock_timeout"
    holder.close()
    assert counts(connector.write(put("only", COLUMNS, (3, "c"), (4, "d"), (5, "e")))) == (3, 0, 0, 0)


def test_isolating_blames_the_locked_row_alone_where_its_lock_ends_the_transaction(strict: Target) -> None:
    holder = strict.connect()
    holder.begin()
    holder.cursor().execute("insert into customer values (3, 'theirs')")
    rows = [*ROWS, (8, "x" * 99)]

    answer = strict.open(lock_timeout_s=1).write(put("customer", COLUMNS, *rows), isolate=True)

    holder.close()
    assert codes(answer) == {2: "lock_timeout", 7: "too_long"}
    assert written(answer).inserted == 6
    assert strict.rows("select id from customer order by id") == [(1,), (2,), (4,), (5,), (6,), (7,)]


@pytest.fixture
def strict_file(sqlite_path: Path) -> Iterator[Target]:
    """A SQLite database where a rule ends the transaction."""
    sqlite3.connect(sqlite_path).close()
    target = Target("sqlite", f"sqlite:///{sqlite_path}")
    target.execute(
        "create table customer (id int primary key, name varchar(20))",
        "create trigger guard before insert on customer when new.name = 'bad' begin "
        "select raise(rollback, 'blocked by the office'); end",
        "create trigger keep before delete on customer when old.name = 'kept' begin "
        "select raise(rollback, 'kept by the office'); end",
    )
    yield target
    for connector in target.connectors:
        connector.close()


@pytest.fixture
def connector(strict_file: Target) -> Connector:
    return strict_file.open()


@pytest.mark.parametrize("isolate", [False, True])
def test_a_rule_that_ends_the_transaction_fails_its_records_alone(
    strict_file: Target, connector: Connector, isolate: bool
) -> None:
    rows = [(number, f"n{number}") for number in range(1, 40)]
    rows[4], rows[20] = (5, "bad"), (21, "bad")

    answer = written(connector.write(put("customer", COLUMNS, *rows), isolate=isolate))

    assert codes(answer) == {4: "rejected_by_app", 20: "rejected_by_app"}
    assert "blocked by the office" in answer.row_faults[4].detail
    assert answer.inserted == 37
    assert strict_file.rows("select count(*) from customer") == [(37,)]


def test_a_rule_that_ends_the_transaction_fails_its_delete_alone(
    strict_file: Target, connector: Connector
) -> None:
    connector.write(put("customer", COLUMNS, (1, "a"), (2, "kept"), (3, "c")))

    answer = written(connector.write(put("customer", COLUMNS, (4, "d"), deletes=[(1,), (2,), (3,)])))

    assert {number: fault.code for number, fault in answer.delete_faults.items()} == {1: "rejected_by_app"}
    assert (answer.deleted, answer.inserted) == (2, 1)
    assert strict_file.rows("select id from customer order by id") == [(2,), (4,)]
