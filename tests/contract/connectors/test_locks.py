"""Rows that others hold, bulks that take too long, deadlocks: try again, or one fault for each record in the way."""

# ruff: noqa: ISC004  statements too long for a line

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.connectors.target import Target, codes, counts, put, written
from tests.services.mariadb import LOCKS_SHOWN_AFTER_S
from tests.services.process import wait_until
from worker.connectors.protocol import Connector, Interrupted, Refused, Written

COLUMNS = ("id", "name")


@pytest.fixture
def held(server: Target) -> Iterator[Any]:
    """Someone else's connection, in a transaction that holds the rows 3 and 4."""
    server.execute("create table customer (id int primary key, name varchar(20))")
    for number in range(1, 6):
        server.execute(f"insert into customer values ({number}, 'old')")
    holder = server.connect()
    cursor = holder.cursor()
    cursor.execute("begin")
    cursor.execute("update customer set name = 'held' where id in (3, 4)")
    yield cursor
    cursor.execute("rollback")
    holder.close()


def impatient(server: Target) -> Connector:
    return server.open(lock_timeout_s=1)


def test_a_locked_row_interrupts_the_bulk_and_nothing_is_written(server: Target, held: Any) -> None:
    answer = impatient(server).write(put("customer", COLUMNS, *((number, "new") for number in range(1, 6))))

    assert isinstance(answer, Interrupted)
    assert answer.fault.code == "lock_timeout"
    assert server.rows("select distinct name from customer") == [("old",)]


def test_isolating_gives_locked_rows_a_fault_and_writes_the_rest(server: Target, held: Any) -> None:
    rows = [(number, "new") for number in range(1, 8)]

    answer = impatient(server).write(put("customer", COLUMNS, *rows), isolate=True)

    assert codes(answer) == {2: "lock_timeout", 3: "lock_timeout"}
    assert (written(answer).modified, written(answer).inserted) == (3, 2)
    assert server.rows("select id from customer where name = 'new' order by id") == [
        (1,),
        (2,),
        (5,),
        (6,),
        (7,),
    ]


def test_isolating_gives_locked_deletes_a_fault(server: Target, held: Any) -> None:
    answer = written(impatient(server).write(put("customer", COLUMNS, deletes=[(1,), (3,)]), isolate=True))

    assert {number: fault.code for number, fault in answer.delete_faults.items()} == {1: "lock_timeout"}
    assert answer.deleted == 1


def test_isolating_gives_a_row_that_someone_else_is_inserting_a_fault(server: Target, held: Any) -> None:
    held.execute("insert into customer values (9, 'theirs')")

    answer = impatient(server).write(
        put("customer", COLUMNS, (8, "new"), (9, "ours"), (10, "new")), isolate=True
    )

    assert codes(answer) == {1: "lock_timeout"}
    assert written(answer).inserted == 2


def test_a_table_that_is_locked_at_the_first_write_is_not_taken_for_a_missing_one(server: Target) -> None:
    server.execute("create table customer (id int primary key, name varchar(20))")
    connector, holder = impatient(server), server.connect()
    cursor = holder.cursor()
    if server.dialect == "postgres":
        cursor.execute("begin")
        cursor.execute("lock table customer")
    else:
        cursor.execute("lock tables customer write")
    write = put("customer", COLUMNS, (1, "new"))

    answers = [connector.write(write) for _ in range(2)]

    assert [answer.fault.code for answer in answers if not isinstance(answer, Written)] == [
        "lock_timeout"
    ] * 2
    holder.close()
    assert written(connector.write(write)).inserted == 1


def test_after_the_lock_is_gone_the_same_connector_writes(server: Target, held: Any) -> None:
    connector = impatient(server)
    connector.write(put("customer", COLUMNS, (3, "new")))
    held.execute("rollback")

    assert counts(connector.write(put("customer", COLUMNS, (3, "new")))) == (0, 1, 0, 0)


def test_a_bad_row_beside_a_locked_one_interrupts_until_isolated(server: Target, held: Any) -> None:
    connector = impatient(server)
    rows = [(1, "new"), (2, "x" * 99), (3, "new")]

    assert isinstance(connector.write(put("customer", COLUMNS, *rows)), Interrupted)
    assert codes(connector.write(put("customer", COLUMNS, *rows), isolate=True)) == {
        1: "too_long",
        2: "lock_timeout",
    }


def test_a_bulk_that_takes_too_long_is_interrupted(server: Target) -> None:
    server.execute("create table customer (id int primary key, name varchar(20))", *SLOW[server.dialect])

    answer = server.open(statement_timeout_s=1).write(put("customer", COLUMNS, (1, "slow")))

    assert isinstance(answer, Interrupted)
    assert answer.fault.code == "timeout"


def test_isolating_gives_a_record_that_is_too_slow_a_fault(server: Target) -> None:
    server.execute("create table customer (id int primary key, name varchar(20))", *SLOW[server.dialect])
    connector = server.open(statement_timeout_s=2)

    answer = connector.write(put("customer", COLUMNS, (1, "a"), (2, "slow"), (3, "c")), isolate=True)

    assert codes(answer) == {1: "timeout"}
    assert written(answer).inserted == 2


SLOW = {
    "postgres": (
        "create function wait() returns trigger language plpgsql as $$ begin "
        "if new.name = 'slow' then perform pg_sleep(30); end if; return new; end $$",
        "create trigger wait before insert on customer for each row execute function wait()",
    ),
    "mariadb": (
        "create trigger wait before insert on customer for each row begin "
        "if new.name = 'slow' then do sleep(30); end if; end",
    ),
}


def test_the_victim_of_a_deadlock_is_interrupted_and_can_try_again(server: Target, held: Any) -> None:
    """The bulk holds row 1 and wants 3; the holder of 3 then wants 1."""
    connector = server.open(lock_timeout_s=20)
    answers: list[object] = []
    rows = [(1, "new"), (3, "new")]
    writer = threading.Thread(target=lambda: answers.append(connector.write(put("customer", COLUMNS, *rows))))
    _weigh(server, held)
    writer.start()
    _wait_for_lock(server)
    try:
        held.execute("update customer set name = 'held' where id = 1")
    except Exception:  # noqa: BLE001  whichever of the two the server chose as its victim
        held.execute("rollback")
    finally:
        held.execute("rollback")
    writer.join(30)

    answer = answers[0]
    assert isinstance(answer, Interrupted | Written)
    if isinstance(answer, Interrupted):
        assert answer.fault.code == "deadlock"
    assert isinstance(connector.write(put("customer", COLUMNS, *rows)), Written)


def _weigh(server: Target, held: Any) -> None:
    """Let the holder be the one with more to lose, so that MariaDB chooses the bulk."""
    if server.dialect == "mariadb":
        for number in range(100, 200):
            held.execute(f"insert into customer values ({number}, 'held')")


def _wait_for_lock(server: Target) -> None:
    query = {
        "postgres": "select count(*) from pg_stat_activity where application_name = 'instep' "
        "and wait_event_type = 'Lock' and datname = current_database()",
        "mariadb": "select count(*) from information_schema.innodb_trx t join information_schema.processlist p "
        "on p.id = t.trx_mysql_thread_id where trx_state = 'LOCK WAIT' and p.db = database()",
    }[server.dialect]
    wait_until(
        lambda: server.rows(query)[0][0] > 0,
        timeout_s=20,
        what="the bulk waits for a lock",
        every_s=LOCKS_SHOWN_AFTER_S,
    )


def test_a_write_that_is_broken_off_is_not_committed(server: Target, held: Any) -> None:
    patient = server.open(lock_timeout_s=30)
    answers: list[object] = []
    write = put("customer", COLUMNS, *((number, "new") for number in range(1, 6)))
    writing = threading.Thread(target=lambda: answers.append(patient.write(write)))
    writing.start()
    wait_until(
        lambda: others_waiting(server),
        timeout_s=10,
        what="the write waits for the lock",
        every_s=LOCKS_SHOWN_AFTER_S,
    )

    patient.abort()
    writing.join(5)

    assert [type(answer) for answer in answers] == [Refused]
    held.execute("rollback")
    assert server.rows("select distinct name from customer") == [("old",)]
    assert counts(patient.write(put("customer", COLUMNS, (1, "again")))) == (0, 1, 0, 0)


def others_waiting(server: Target) -> bool:
    query = {
        "postgres": "select 1 from pg_stat_activity where wait_event_type = 'Lock'"
        " and datname = current_database()",
        "mariadb": "select 1 from information_schema.innodb_trx t join information_schema.processlist p "
        "on p.id = t.trx_mysql_thread_id where trx_state = 'LOCK WAIT' and p.db = database()",
    }[server.dialect]
    return bool(server.rows(query))
