"""The state store and the sink's store away for a while, at the start and under load: nothing is lost, and it goes on."""

import json

import pytest

from tests.acceptance.world import MakeWorld, World, mapping
from tests.contract.connectors.target import Target
from tests.services.postgres import PostgresServer

TABLE = "create table customers (id int primary key, name varchar(20) not null)"
TOO_LONG = "a name of more than twenty characters"
RECORDS = 300


@pytest.fixture
def world(own_postgres: PostgresServer, make_world: MakeWorld, sqlite_crm: Target) -> World:
    """A world whose state store and sink's store are on a server that may be stopped; the target is elsewhere."""
    sqlite_crm.execute(TABLE)
    server = own_postgres.postgres
    state, store = (server.url(server.create_database()) for _ in range(2))
    return make_world(
        {"customers": mapping("customers")},
        sqlite_crm,
        worker={"state": {"url": state}, "batch": 20},
        sink={"store": {"url": store}},
    )


def put(world: World, first: int, last: int) -> None:
    """Records of which every third is too long."""
    for number in range(first, last):
        world.put("customers", {"id": number, "name": TOO_LONG if number % 3 == 2 else "short"})
    world.flush()


def assert_all_is_there(world: World, crm: Target, records: int) -> None:
    numbers = [number for (number,) in crm.rows("select id from customers order by id")]
    assert numbers == [number for number in range(records) if number % 3 != 2]
    entries = [json.loads(line) for line in world.instep("errors", "export").splitlines()]
    failed = sorted(
        (int(each["record_id"]), each["state"], each["count"]) for each in entries if each["mapping"] != "*"
    )
    assert failed == [(number, "open", 1) for number in range(2, records, 3)]
    assert [each["state"] for each in entries if each["mapping"] == "*" and each["state"] != "resolved"] == []


def test_stores_that_go_away_under_load_are_waited_for(
    world: World, own_postgres: PostgresServer, sqlite_crm: Target
) -> None:
    worker = world.start()
    put(world, 0, RECORDS // 2)
    world.until(lambda: sqlite_crm.rows("select 1 from customers"), what="the worker has begun")

    own_postgres.kill()
    put(world, RECORDS // 2, RECORDS)
    world.until(lambda: world.paused("(state store)"), what="the worker is paused")
    own_postgres.start()
    world.settle()

    assert worker.running
    assert_all_is_there(world, sqlite_crm, RECORDS)


def test_stores_that_are_not_there_at_the_start_are_waited_for(
    world: World, own_postgres: PostgresServer, sqlite_crm: Target
) -> None:
    own_postgres.stop()
    put(world, 0, 9)
    worker, sink = world.start_worker(wait=False), world.start_sink(wait=False)
    worker.says("The state store cannot be reached")
    sink.says("the sink's database cannot be reached")
    assert sqlite_crm.rows("select 1 from customers") == []

    own_postgres.start()
    world.settle()

    assert_all_is_there(world, sqlite_crm, 9)


def test_programs_end_in_time_while_their_stores_are_away(world: World, own_postgres: PostgresServer) -> None:
    worker = world.start()
    (sink,) = [each for each in world.programs if each is not worker]
    put(world, 0, 9)
    world.settle()
    own_postgres.stop()
    put(world, 9, 18)
    world.until(lambda: world.paused("(state store)"), what="the worker is paused")

    assert worker.stop(within_s=10) == 0
    assert sink.stop(within_s=10) == 0


def test_a_killed_worker_with_a_state_of_its_own_starts_again(
    make_world: MakeWorld, sqlite_crm: Target
) -> None:
    sqlite_crm.execute(TABLE)
    world = make_world({"customers": mapping("customers")}, sqlite_crm)
    first = world.start()
    put(world, 0, 6)
    world.settle()
    first.kill()
    put(world, 6, 12)

    world.start_worker()
    world.settle()

    assert_all_is_there(world, sqlite_crm, 12)


def test_a_second_worker_on_a_state_that_cannot_be_shared_is_refused(
    make_world: MakeWorld, sqlite_crm: Target
) -> None:
    sqlite_crm.execute(TABLE)
    world = make_world({"customers": mapping("customers")}, sqlite_crm)
    first = world.start_worker()

    second = world.start_worker(wait=False)

    assert second.wait(within_s=30) == 2
    assert "another worker of this group is running" in second.log
    assert first.running
