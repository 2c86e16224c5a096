"""Several workers in one group, and how programs end: order per record holds, nothing is lost, ends are clean."""

import signal
from contextlib import closing

import pytest
from kafka import KafkaAdminClient

from tests.acceptance.program import Program
from tests.acceptance.world import MakeWorld, World, mapping
from tests.contract.connectors.target import Target
from tests.services.kafka import Kafka
from tests.services.postgres import Postgres

TABLE = "create table customers (id int primary key, name varchar(20) not null, version int)"
# every write of a row, in the order in which it happened
HISTORY = [
    "create table history (moment bigserial primary key, id int, version int)",
    """create function remember() returns trigger language plpgsql as
    $$begin insert into history (id, version) values (new.id, new.version); return new; end$$""",
    "create trigger remembered after insert or update on customers for each row execute function remember()",
]
# every write takes as long as the table `pace` says
SLOW = [
    "create table pace (seconds double precision)",
    "insert into pace values (0)",
    """create function dawdle() returns trigger language plpgsql as
    $$begin perform pg_sleep(seconds) from pace; return new; end$$""",
    "create trigger dawdled before insert or update on customers for each row execute function dawdle()",
]
RECORDS = 40


@pytest.fixture
def world(make_world: MakeWorld, pg_crm: Target, postgres: Postgres) -> World:
    """A world whose workers share a PostgreSQL state, with a slow target that remembers every write."""
    pg_crm.execute(TABLE, *HISTORY, *SLOW)
    state = postgres.url(postgres.create_database())
    return make_world(
        {"customers": mapping("customers")},
        pg_crm,
        worker={"state": {"url": state}, "batch": 20},
        partitions=6,
    )


def pace(crm: Target, seconds: float) -> None:
    crm.execute(f"update pace set seconds = {seconds}")


def put_versions(world: World, versions: range) -> None:
    for version in versions:
        world.put(
            "customers", *({"id": n, "name": f"name {version}", "version": version} for n in range(RECORDS))
        )
    world.flush()


def arrived(crm: Target, version: int) -> bool:
    return crm.rows(f"select count(*) from customers where version = {version}") == [(RECORDS,)]


def assert_all_arrived_in_order(crm: Target, last: int) -> None:
    assert crm.rows("select id, version from customers order by id") == [(n, last) for n in range(RECORDS)]
    seen: dict[int, int] = {}
    for record, version in crm.rows("select id, version from history order by moment"):
        assert version > seen.get(record, 0), f"record {record}: {version} after {seen[record]}"
        seen[record] = version


def members(kafka: Kafka, group: str) -> int:
    with closing(KafkaAdminClient(bootstrap_servers=kafka.bootstrap)) as admin:
        return len(admin.describe_groups([group])[group]["members"])


def has_partitions(program: Program) -> bool:
    return '"partitions assigned"' in program.log


def test_a_second_worker_joins_and_leaves_under_load(world: World, pg_crm: Target) -> None:
    pace(pg_crm, 0.002)
    first = world.start_worker()
    put_versions(world, range(1, 40))
    second = world.start_worker()
    world.until(lambda: has_partitions(second), what="the second worker has partitions")
    put_versions(world, range(40, 70))

    assert second.stop() == 0
    put_versions(world, range(70, 80))
    world.until(lambda: arrived(pg_crm, 79), what="all arrived")

    assert first.running
    assert_all_arrived_in_order(pg_crm, 79)


def test_partitions_that_move_in_the_middle_of_a_batch_lose_and_repeat_nothing(
    world: World, pg_crm: Target
) -> None:
    pace(pg_crm, 0.1)
    first = world.start_worker()
    put_versions(world, range(1, 4))
    world.until(lambda: pg_crm.rows("select 1 from pg_stat_activity where wait_event = 'PgSleep'"))

    second = world.start_worker()
    world.until(lambda: has_partitions(second), what="the second worker has partitions")
    pace(pg_crm, 0)
    put_versions(world, range(4, 6))
    world.until(lambda: arrived(pg_crm, 5), what="all arrived")

    assert first.running
    assert second.running
    assert_all_arrived_in_order(pg_crm, 5)


def test_what_waited_behind_a_batch_is_not_lost_when_partitions_stay_with_their_worker(
    world: World, pg_crm: Target
) -> None:
    # each record comes but once, so that no later change can hide a lost one
    pace(pg_crm, 0.02)
    world.put("customers", *({"id": n, "name": f"name {n}", "version": 1} for n in range(400)))
    first = world.start_worker()
    world.until(lambda: pg_crm.rows("select 1 from history limit 1"), what="the worker writes")
    second = world.start_worker()
    world.until(lambda: has_partitions(second), what="the second worker has partitions")
    pace(pg_crm, 0)
    for worker in (second, first):
        assert worker.stop() == 0
    world.drain()

    assert pg_crm.rows("select count(*) from customers") == [(400,)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_worker_after_its_batch(
    world: World, pg_crm: Target, kafka: Kafka, number: signal.Signals
) -> None:
    pace(pg_crm, 0.02)
    worker = world.start_worker()
    put_versions(world, range(1, 30))
    world.until(lambda: pg_crm.rows("select 1 from history limit 1"), what="the worker writes")

    worker.signal(number)

    assert worker.wait(within_s=10) == 0
    assert "Traceback" not in worker.log
    assert members(kafka, world.name) == 0
    pace(pg_crm, 0)
    world.drain()
    # what the first one wrote was committed: nothing was written again
    assert_all_arrived_in_order(pg_crm, 29)


def test_a_second_signal_ends_a_worker_at_once(world: World, pg_crm: Target) -> None:
    pace(pg_crm, 5)
    worker = world.start_worker()
    put_versions(world, range(1, 2))
    world.until(lambda: pg_crm.rows("select 1 from pg_stat_activity where wait_event = 'PgSleep'"))

    worker.signal(signal.SIGTERM)
    worker.signal(signal.SIGINT)

    assert worker.wait(within_s=2) in {128 + signal.SIGTERM, 128 + signal.SIGINT}


def test_a_batch_that_does_not_end_holds_up_a_signalled_worker_for_ten_seconds_at_most(
    world: World, pg_crm: Target
) -> None:
    pace(pg_crm, 30)
    worker = world.start_worker()
    put_versions(world, range(1, 2))
    world.until(lambda: pg_crm.rows("select 1 from pg_stat_activity where wait_event = 'PgSleep'"))

    worker.signal(signal.SIGTERM)

    assert worker.wait(within_s=10.5) == 0
    pace(pg_crm, 0)
    world.drain()
    assert_all_arrived_in_order(pg_crm, 1)


def test_a_paused_worker_ends_at_a_signal_and_its_app_entry_ends_with_the_next_one(
    world: World, pg_crm: Target
) -> None:
    world.start()
    worker = world.programs[-1]
    pg_crm.execute("alter table customers rename to elsewhere")
    put_versions(world, range(1, 2))
    world.until(world.paused, what="the app is paused")
    world.until(lambda: [each["record_id"] for each in world.entries("--state", "open")] == ["crm"])

    assert worker.stop(within_s=10) == 0
    pg_crm.execute("alter table elsewhere rename to customers")
    world.start_worker()

    world.until(lambda: pg_crm.rows("select count(*) from customers") == [(RECORDS,)], what="all arrived")
    world.until(lambda: world.entry("crm")["state"] == "resolved", what="the app's entry is closed")


def test_draining_ends_when_all_that_was_there_is_done(world: World, pg_crm: Target) -> None:
    world.drain()
    assert pg_crm.rows("select 1 from customers") == []
    put_versions(world, range(1, 10))

    world.drain()

    assert_all_arrived_in_order(pg_crm, 9)


def test_two_workers_drain_together(world: World, pg_crm: Target) -> None:
    pace(pg_crm, 0.005)
    put_versions(world, range(1, 20))

    both = [world.start_worker("--drain", wait=False) for _ in range(2)]

    assert [each.wait(within_s=60) for each in both] == [0, 0], world.logs()
    assert_all_arrived_in_order(pg_crm, 19)


def test_draining_beside_a_worker_that_stays(world: World, pg_crm: Target) -> None:
    stays = world.start_worker()
    pace(pg_crm, 0.005)
    put_versions(world, range(1, 10))

    world.drain()

    assert stays.running
    assert_all_arrived_in_order(pg_crm, 9)
