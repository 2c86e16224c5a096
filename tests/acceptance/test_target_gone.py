"""The target's server or file goes away, for a moment or in the middle of a write: nothing is lost, nothing is doubled."""

import shutil
import signal
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from schemas.events import SyncProgress
from tests.acceptance.outage import Outages, running_outages
from tests.acceptance.world import MakeWorld, World, mapping
from tests.conftest import started
from tests.contract.connectors.target import Target
from tests.services.kafka import Kafka
from tests.services.mariadb import MariaDbServer
from tests.services.postgres import PostgresServer

GONE = ("connection_lost", "unavailable")
# the group's own patience is 6 and 8 seconds: see running_outages
PAUSED_FOR_EVENTS = 10
SLEEPY = {
    "postgres": (
        """create function sleepy() returns trigger language plpgsql as
        $$ begin if new.name = 'sleepy' and exists (select from orders where id = 0) then perform pg_sleep(30); end if;
        return new; end $$""",
        "create trigger sleepy before insert on customers for each row execute function sleepy()",
    ),
    "mariadb": (
        """create trigger sleepy before insert on customers for each row
        begin if new.name = 'sleepy' and exists (select 1 from orders where id = 0) then do sleep(30); end if; end""",
    ),
}
ASLEEP = {
    "postgres": "select 1 from pg_stat_activity where wait_event = 'PgSleep'",
    "mariadb": "select 1 from information_schema.processlist where state = 'User sleep'",
}


@dataclass(frozen=True, slots=True)
class Place:
    """An app on a server of its own."""

    outages: Outages
    server: PostgresServer | MariaDbServer


@pytest.fixture(scope="module", params=["postgres", "mariadb"])
def place(
    request: pytest.FixtureRequest, kafka: Kafka, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("gone")
    if request.param == "postgres":
        with started(PostgresServer, request) as postgres:
            crm = Target("postgres", postgres.postgres.url(postgres.postgres.create_database()))
            with running_outages(folder, kafka.bootstrap, crm) as outages:
                yield Place(outages, postgres)
    else:
        with started(MariaDbServer, request) as mariadb:
            crm = Target("mariadb", mariadb.mariadb.url(mariadb.mariadb.create_database()))
            with running_outages(folder, kafka.bootstrap, crm) as outages:
                yield Place(outages, mariadb)


def test_a_server_that_is_restarted(place: Place) -> None:
    place.outages.survive(place.server.stop, place.server.start, *GONE)


def test_a_server_that_is_gone_for_longer_than_the_group_is_patient(place: Place) -> None:
    world = place.outages.world

    def paused_for_long() -> None:
        def told() -> bool:
            events = [event for event in world.events(progress=True) if isinstance(event, SyncProgress)]
            return (
                len({event.at for event in events if event.paused_code == "unavailable"}) >= PAUSED_FOR_EVENTS
            )

        world.until(told, what="the worker goes on telling that it is paused")

    place.outages.survive(place.server.kill, place.server.start, *GONE, meanwhile=paused_for_long)


def test_a_server_that_is_killed_in_the_middle_of_a_bulk_write(place: Place) -> None:
    outages, crm = place.outages, place.outages.crm
    world, known = outages.world, outages.records()
    names = {f"k{n}": "sleepy" if n == 150 else "fine" for n in range(300)}
    outages.do(*SLEEPY[crm.dialect], "insert into orders values (0, 0)")

    world.put("customers", *({"number": number, "name": name} for number, name in names.items()))
    world.until(lambda: bool(crm.rows(ASLEEP[crm.dialect])), what="the write is half done")
    place.server.kill()
    place.server.start()
    outages.do("delete from orders where id = 0")
    world.settle()

    assert dict(crm.rows("select number, name from customers where number like 'k%'")) == names
    assert outages.records() == known
    world.until(lambda: outages.app_entry()["state"] == "resolved", what="the app's entry closes")


@pytest.mark.parametrize("place", ["mariadb"], indirect=True, scope="module")
def test_a_whole_server_that_takes_no_writes(place: Place) -> None:
    do = place.outages.do

    place.outages.survive(
        lambda: do("set global read_only = 1"), lambda: do("set global read_only = 0"), "app_in_maintenance"
    )


# SQLite: the file is the app


@pytest.fixture
def file_world(make_world: MakeWorld, sqlite_crm: Target) -> World:
    sqlite_crm.execute("create table customers (number varchar(20) primary key, name varchar(10) not null)")
    app = {"url": sqlite_crm.url, "options": {"lock_timeout_s": 0.2}}
    world = make_world({"customers": mapping("customers", "number")}, {"crm": app})
    world.start()
    world.put("customers", {"number": "first", "name": "fine"})
    world.settle()
    return world


def broken(world: World, code: str) -> None:
    """Changes come while the app is broken, and are not told of one by one."""
    world.put("customers", {"number": "second", "name": "fine"}, {"number": "bad", "name": "much too long"})
    world.until(lambda: f'"code": "{code}"' in world.logs(), what="the worker pauses")
    world.until(lambda: code in [entry["code"] for entry in world.entries()], what="the app's failure")
    (entry,) = world.entries()
    assert (entry["record_id"], entry["code"], entry["state"], entry["scope"]) == ("crm", code, "open", "app")


def mended(world: World, path: Path) -> None:
    """All is there that came meanwhile."""
    world.settle()
    rows = Target("sqlite", f"sqlite:///{path}").rows("select number from customers order by 1")
    assert rows == [("first",), ("second",)]
    entries = {entry["record_id"]: entry["state"] for entry in world.entries()}
    assert entries == {"crm": "resolved", "bad": "open"}


def test_a_file_that_is_away(file_world: World, sqlite_path: Path) -> None:
    away = sqlite_path.with_suffix(".away")
    # the open connection would go on with the file that was moved
    shutil.copy(sqlite_path, away)
    sqlite_path.unlink()

    broken(file_world, "unavailable")
    away.rename(sqlite_path)

    mended(file_world, sqlite_path)


def test_a_file_that_another_program_has_locked(file_world: World, sqlite_path: Path) -> None:
    holder = sqlite3.connect(sqlite_path, isolation_level=None)
    holder.execute("begin immediate")

    broken(file_world, "unavailable")
    holder.execute("rollback")
    holder.close()

    mended(file_world, sqlite_path)


def test_a_paused_worker_ends_within_ten_seconds_and_the_next_one_goes_on(
    file_world: World, sqlite_path: Path
) -> None:
    holder = sqlite3.connect(sqlite_path, isolation_level=None)
    holder.execute("begin immediate")
    broken(file_world, "unavailable")
    worker = file_world.programs[-1]

    worker.signal(signal.SIGTERM)
    assert worker.wait(within_s=10) == 0
    holder.execute("rollback")
    holder.close()
    file_world.start_worker()

    mended(file_world, sqlite_path)
