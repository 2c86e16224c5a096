"""The target app breaks: the worker pauses, says so once, loses nothing, and goes on where it stopped."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.acceptance.outage import Outages, running_outages
from tests.contract.connectors.target import Target
from tests.services.kafka import Kafka
from tests.services.mariadb import LOCKS_SHOWN_AFTER_S


@dataclass(frozen=True, slots=True)
class Fault:
    """How an app is broken and mended, and what that is called; `cut` where open connections would not notice."""

    code: str
    broken: tuple[str, ...]
    mended: tuple[str, ...]
    cut: bool = False


RENAMED_COLUMN = Fault(
    "field_missing",
    ("alter table customers rename column name to title",),
    ("alter table customers rename column title to name",),
)
REVOKED = Fault(
    "permission_denied",
    ("revoke insert, update on customers from {user}",),
    ("grant insert, update on customers to {user}",),
)
FAULTS = {
    "postgres": {
        "refuses the login": Fault(
            "login_failed",
            ("alter role {user} password '{other}'",),
            ("alter role {user} password '{password}'",),
            cut=True,
        ),
        "disables the user": Fault(
            "integration_user_disabled",
            ("alter role {user} nologin",),
            ("alter role {user} login",),
            cut=True,
        ),
        "lacks the grant on one table": REVOKED,
        "table dropped": Fault(
            "entity_missing",
            ("alter table customers rename to away",),
            ("alter table away rename to customers",),
        ),
        "column renamed": RENAMED_COLUMN,
        "read-only": Fault(
            "app_in_maintenance",
            ("alter role {user} set default_transaction_read_only = on",),
            ("alter role {user} reset default_transaction_read_only",),
            cut=True,
        ),
        "disk full": Fault(
            "quota_exceeded",
            (
                """create function full_disk() returns trigger language plpgsql as
                $$ begin raise exception 'no space left' using errcode = '53100'; end $$""",
                "create trigger full_disk before insert on customers execute function full_disk()",
            ),
            ("drop function full_disk cascade",),
        ),
    },
    "mariadb": {
        "refuses the login": Fault(
            "login_failed",
            ("alter user {user} identified by '{other}'",),
            ("alter user {user} identified by '{password}'",),
            cut=True,
        ),
        "disables the user": Fault(
            "integration_user_disabled",
            ("alter user {user} account lock",),
            ("alter user {user} account unlock",),
            cut=True,
        ),
        "lacks the grant on one table": REVOKED,
        "table dropped": Fault(
            "entity_missing", ("rename table customers to away",), ("rename table away to customers",)
        ),
        "column renamed": RENAMED_COLUMN,
        "disk full": Fault(
            "quota_exceeded",
            (
                """create trigger full_disk before insert on customers for each row
                signal sqlstate 'HY000' set mysql_errno = 1114, message_text = 'The table is full'""",
            ),
            ("drop trigger full_disk",),
        ),
    },
}
ALL = [(dialect, name) for dialect, faults in FAULTS.items() for name in faults]


@pytest.fixture(scope="module", params=["postgres", "mariadb"])
def outages(
    request: pytest.FixtureRequest, kafka: Kafka, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Outages]:
    server: Any = request.getfixturevalue(request.param)
    name = server.create_database()
    crm = Target(request.param, server.url(name))
    with running_outages(tmp_path_factory.mktemp("target"), kafka.bootstrap, crm) as found:
        yield found
    server.drop_database(name)


@pytest.mark.parametrize(("outages", "name"), ALL, indirect=["outages"], scope="module")
def test_the_worker_pauses_and_goes_on_where_it_stopped_when_the_app(outages: Outages, name: str) -> None:
    fault = FAULTS[outages.crm.dialect][name]

    def break_it() -> None:
        outages.do(*fault.broken)
        if fault.cut:
            outages.cut()

    outages.survive(break_it, lambda: outages.do(*fault.mended), fault.code)


def test_a_column_that_the_mapping_does_not_name_is_not_left_out_when_it_is_renamed(outages: Outages) -> None:
    world = outages.world
    world.put("orders", {"id": 1000, "total": 1})
    world.settle()
    outages.do("alter table orders rename column total to amount")

    world.put("orders", {"id": 1001, "total": 2})
    world.until(lambda: world.paused(program=outages.worker), what="the worker pauses")
    world.until(lambda: outages.is_told(("field_missing",)), what="the app's failure")
    outages.do("alter table orders rename column amount to total")
    world.settle()

    assert outages.crm.rows("select total from orders where id = 1001") == [(2,)]


def test_a_locked_record_waits_alone_and_is_released(outages: Outages) -> None:
    crm, world, known = outages.crm, outages.world, outages.records()
    holder = crm.connect()
    holder.cursor().execute("begin")
    holder.cursor().execute("update customers set name = 'held' where number = 'first'")

    world.put("customers", {"number": "first", "name": "later"}, {"number": "beside", "name": "fine"})
    world.settle()
    entry = world.entry("first")
    assert outages.applied(["beside"])
    assert outages.records() == known | {"first"}
    assert (entry["code"], entry["state"]) == ("lock_timeout", "waiting")
    assert not world.paused(program=outages.worker)
    holder.cursor().execute("rollback")
    holder.close()

    world.until(lambda: world.entry("first")["state"] == "resolved", what="the record is tried again")
    assert world.entry("first")["resolved_by"] == "released"
    assert crm.rows("select name from customers where number = 'first'") == [("later",)]


def test_a_deadlock_is_tried_again_and_no_failure(outages: Outages) -> None:
    crm, world, known = outages.crm, outages.world, outages.records()
    numbers = [f"d{n}" for n in range(50)]
    outages.do("create table ballast (id int primary key)")
    values = ", ".join(f"({n})" for n in range(2000))
    old = ", ".join(f"('{number}', 'old')" for number in numbers)
    crm.execute(f"insert into customers values {old}")
    before = retries(outages)

    for other_first in (25, 10, 40):
        holder = crm.connect()
        cursor = holder.cursor()
        if crm.dialect == "postgres":
            cursor.execute("set deadlock_timeout = '30s'")
        cursor.execute("begin")
        # MariaDB ends the one of the two that has written less
        cursor.execute(f"insert into ballast values {values}")
        cursor.execute(f"update customers set name = 'held' where number = 'd{other_first}'")
        world.put("customers", *({"number": number, "name": f"new{other_first}"} for number in numbers))
        world.flush()
        world.until(
            lambda: is_someone_waiting(crm),
            what="the worker waits for the lock",
            every_s=LOCKS_SHOWN_AFTER_S,
        )
        blocked = threading.Thread(target=cursor.execute, args=("update customers set name = 'held'",))
        blocked.start()
        blocked.join(30)
        cursor.execute("rollback")
        holder.close()
        world.settle()
        if retries(outages) > before:
            break

    assert retries(outages) > before
    assert crm.rows("select distinct name from customers where number like 'd%'") == [(f"new{other_first}",)]
    assert outages.records() == known


def retries(outages: Outages) -> float:
    metrics = outages.world.metrics(outages.worker)
    return metrics['instep_retries_total{code="deadlock",mapping="customers"}']


def is_someone_waiting(crm: Target) -> bool:
    """Whether a session of this database waits for a lock of another."""
    query = {
        "postgres": "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        "mariadb": "select 1 from information_schema.innodb_trx t join information_schema.processlist p "
        "on p.id = t.trx_mysql_thread_id where p.db = database() and t.trx_state = 'LOCK WAIT'",
    }
    return bool(crm.rows(query[crm.dialect]))
