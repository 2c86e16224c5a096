"""Kafka away, started again, without the errors topic, or refusing what is reported: nothing is lost, and it goes on."""

import gc
import json
import logging
from collections.abc import Iterator
from contextlib import closing

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from schemas.events import SyncFailed
from tests.acceptance.world import MakeWorld, World, mapping
from tests.contract.connectors.target import Target
from tests.services.kafka import Kafka, KafkaServer

TABLE = "create table customers (id int primary key, name varchar(20) not null)"
TOO_LONG = "a name of more than twenty characters"
MAPPINGS = {"customers": mapping("customers")}
ENDS_WITHIN_S = 10.0
# the client leaves one behind whenever it finds no broker
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture
def crm(sqlite_crm: Target) -> Target:
    """An empty target table."""
    sqlite_crm.execute(TABLE)
    return sqlite_crm


def names(crm: Target) -> dict[int, str]:
    return dict(crm.rows("select id, name from customers"))


def good(*numbers: int) -> list[dict[str, object]]:
    return [{"id": number, "name": f"name {number}"} for number in numbers]


def bad(number: int) -> dict[str, object]:
    return {"id": number, "name": TOO_LONG}


def assert_one_failure(world: World, number: int) -> None:
    entry = world.entry(str(number))
    assert (entry["state"], entry["code"], entry["count"]) == ("open", "too_long", 1)


def limit_messages(kafka: Kafka, topic: str, limit_bytes: int) -> None:
    """Have a topic refuse larger messages."""
    with closing(KafkaAdminClient(bootstrap_servers=kafka.bootstrap)) as admin:
        setting = {"max.message.bytes": str(limit_bytes)}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=setting)])


def committed(world: World) -> int:
    """How many changes the workers have done with."""
    with closing(KafkaAdminClient(bootstrap_servers=world.bootstrap)) as admin:
        offsets = admin.list_group_offsets(world.name)[world.name]
    return sum(each.offset for place, each in offsets.items() if place.topic == world.topic("customers"))


@pytest.fixture
def own_world(
    own_kafka: KafkaServer, make_world: MakeWorld, crm: Target, caplog: pytest.LogCaptureFixture
) -> Iterator[World]:
    """A world with a broker of its own."""
    # records that are kept would keep the sockets that they tell of
    caplog.set_level(logging.CRITICAL, logger="kafka")
    world = make_world(MAPPINGS, crm, bootstrap=own_kafka.bootstrap)
    yield world
    world.close()
    gc.collect()


def test_kafka_that_is_not_there_at_the_start_is_waited_for(
    own_kafka: KafkaServer, own_world: World, crm: Target
) -> None:
    own_kafka.stop()
    worker, sink = own_world.start_worker(wait=False), own_world.start_sink(wait=False)
    for program in (worker, sink):
        program.says("waiting for a service")
        program.says("cannot be reached: Connection refused")

    own_kafka.start()
    own_world.put("customers", *good(1, 2), bad(3))
    own_world.settle()

    assert names(crm) == {1: "name 1", 2: "name 2"}
    assert_one_failure(own_world, 3)


def test_a_broker_killed_while_they_work_is_waited_for(
    own_kafka: KafkaServer, own_world: World, crm: Target
) -> None:
    worker = own_world.start()
    for first in range(0, 900, 3):
        own_world.put("customers", *good(first, first + 1), bad(first + 2))
        if first == 450:
            own_world.until(lambda: names(crm), what="the worker has begun")
            own_kafka.kill()
            own_kafka.start()
    own_world.settle(timeout_s=90)

    assert worker.running
    assert names(crm) == {number: f"name {number}" for number in range(900) if number % 3 != 2}
    exported = [json.loads(line) for line in own_world.instep("errors", "export").splitlines()]
    assert sorted((int(each["record_id"]), each["count"]) for each in exported) == [
        (number, 1) for number in range(2, 900, 3)
    ]


def test_programs_end_in_time_while_kafka_is_away(
    own_kafka: KafkaServer, own_world: World, crm: Target
) -> None:
    worker = own_world.start()
    (sink,) = [each for each in own_world.programs if each is not worker]
    own_world.put("customers", *good(1), bad(2))
    own_world.settle()
    own_kafka.stop()

    assert worker.stop(within_s=ENDS_WITHIN_S) == 0
    assert sink.stop(within_s=ENDS_WITHIN_S) == 0


def test_a_missing_errors_topic_is_told_and_waited_for(
    kafka: Kafka, make_world: MakeWorld, crm: Target
) -> None:
    world = make_world(MAPPINGS, crm, create_topics=False)
    kafka.create_topic(world.topic("customers"), partitions=2)
    world.put("customers", *good(1), bad(2))
    world.flush()
    worker = world.start_worker(wait=False)
    worker.says("the errors topic does not exist; nothing is consumed until it does")
    worker.says("instep topics create")
    assert names(crm) == {}

    world.create_topics()
    world.start_sink()
    world.settle()

    assert names(crm) == {1: "name 1"}
    assert_one_failure(world, 2)


def test_a_worker_that_waits_for_the_errors_topic_ends_at_a_signal(
    make_world: MakeWorld, crm: Target
) -> None:
    worker = make_world(MAPPINGS, crm, create_topics=False).start_worker(wait=False)
    worker.says("the errors topic does not exist")

    assert worker.stop(within_s=ENDS_WITHIN_S) == 0


def test_an_errors_topic_that_refuses_pauses_the_worker(
    kafka: Kafka, make_world: MakeWorld, crm: Target
) -> None:
    world = make_world(MAPPINGS, crm)
    worker = world.start()
    limit_messages(kafka, world.errors_topic, 100)
    world.put("customers", bad(1))
    world.until(lambda: world.paused("(errors topic)"), what="the worker is paused")
    world.put("customers", *good(2))
    world.flush()
    assert committed(world) == 0
    assert worker.running

    limit_messages(kafka, world.errors_topic, 1_000_000)
    world.settle()

    assert names(crm) == {2: "name 2"}
    assert_one_failure(world, 1)
    assert not world.paused("(errors topic)")


def test_an_errors_topic_that_is_deleted_pauses_the_worker(
    kafka: Kafka, make_world: MakeWorld, crm: Target
) -> None:
    hasty = {"client": {"delivery_timeout_ms": 3000, "request_timeout_ms": 2500}}
    world = make_world(MAPPINGS, crm, kafka=hasty)
    worker = world.start()
    world.put("customers", *good(1))
    world.settle()
    kafka.delete_topic(world.errors_topic)
    world.put("customers", bad(2), *good(3))
    world.until(lambda: world.paused("(errors topic)"), what="the worker is paused")

    world.create_topics()
    world.until(lambda: world.entries("--record", "2"), what="the failure is in the list")
    world.settle()

    assert worker.running
    assert names(crm) == {1: "name 1", 3: "name 3"}
    assert_one_failure(world, 2)


def test_a_failure_larger_than_the_limit_is_replayed_from_the_source_topic(
    make_world: MakeWorld, pg_crm: Target
) -> None:
    pg_crm.execute(TABLE)
    world = make_world(MAPPINGS, pg_crm)
    worker = world.start()
    name = "x" * 1_047_500  # what the broker takes at most, less 1 KiB
    world.put("customers", {"id": 1, "name": name}, *good(2))
    world.settle()
    assert_one_failure(world, 1)
    assert [event.original for event in world.events() if isinstance(event, SyncFailed)] == [None]

    pg_crm.execute("alter table customers alter column name type text")
    world.replay(world.entry("1")["id"])

    assert worker.running
    assert names(pg_crm) == {1: name, 2: "name 2"}
    assert (world.entry("1")["state"], world.entry("1")["resolved_by"]) == ("resolved", "replay")


def test_one_app_down_does_not_stop_the_others(
    make_world: MakeWorld, pg_crm: Target, sqlite_crm: Target
) -> None:
    for target in (pg_crm, sqlite_crm):
        target.execute(TABLE.replace("customers", "orders"))
    mappings = {"shop_orders": mapping("orders", app="shop"), "orders": mapping("orders")}
    world = make_world(mappings, {"shop": pg_crm.url, "crm": sqlite_crm.url})
    world.start()
    pg_crm.execute("alter table orders rename to elsewhere")
    world.put("shop_orders", *good(1))
    world.until(lambda: world.paused("shop"), what="the shop is paused")

    world.put("orders", *good(1, 2))
    world.until(lambda: len(rows_of(sqlite_crm)) == 2, what="the other app goes on")
    world.put("orders", *good(3))
    world.until(lambda: len(rows_of(sqlite_crm)) == 3, what="and on")

    assert world.paused("shop")
    assert not world.paused("crm")
    pg_crm.execute("alter table elsewhere rename to orders")
    world.settle()
    assert rows_of(pg_crm) == [(1, "name 1")]


def rows_of(target: Target) -> list[tuple[object, ...]]:
    return target.rows("select id, name from orders order by id")


def test_rereading_the_error_topic_changes_no_entry_and_no_count(make_world: MakeWorld, crm: Target) -> None:
    world = make_world(MAPPINGS, crm)
    world.start()
    sink = world.programs[0]
    for _ in range(3):
        world.put("customers", *good(1, 2, 3), *(bad(number) for number in range(3, 30)))
        world.settle()
    world.put("customers", *good(3, 4, 5))
    world.settle()
    world.replay(world.entry("6")["id"], codes=(1,))
    before = world.entries()
    assert len(before) == 27
    assert world.entry("6")["count"] == 4

    assert sink.stop() == 0
    with closing(KafkaAdminClient(bootstrap_servers=world.bootstrap)) as admin:
        admin.delete_groups([f"{world.name}.sink"])
    # no command rewinds the position in the store
    store = Target("sqlite", f"sqlite:///{world.folder}/sink.db")
    store.execute("update instep_ingest_position set position = 0")
    world.start_sink()
    world.settle()

    assert world.entries() == before
