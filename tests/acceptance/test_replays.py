"""Replays through the whole system: confirmed by the worker, sent once, never over anything newer."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from schemas.bundles import events_in
from schemas.codec import Codec, Unreadable
from schemas.events import ReplayRequest, SyncFailed
from tests.acceptance.broker import read_topic
from tests.acceptance.world import World, closing_worlds, mapping
from tests.contract.connectors.target import Target
from tests.services.kafka import Kafka
from tests.services.postgres import Postgres

LONG = "much too long"


@pytest.fixture(scope="module", params=["latest", "strict"])
def world(
    request: pytest.FixtureRequest, kafka: Kafka, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    name = postgres.create_database()
    crm = Target("postgres", postgres.url(name))
    crm.execute("create table customers (number varchar(20) primary key, name varchar(10) not null)")
    with closing_worlds(tmp_path_factory.mktemp("replays"), kafka.bootstrap) as make:
        made = make({"customers": mapping("customers", "number", order=request.param)}, crm)
        made.start()
        yield made
    postgres.drop_database(name)


@pytest.fixture
def crm(world: World) -> Iterator[Target]:
    """The app, whose names may be ten characters long again after the test."""
    found = Target("postgres", str(world.apps["crm"]))
    yield found
    found.execute("delete from customers", "alter table customers alter name type varchar(10)")


def fail(world: World, number: str) -> str:
    """Have a customer fail; returns the id of its entry."""
    world.put("customers", {"number": number, "name": LONG})
    world.settle()
    return str(world.entry(number)["id"])


def widen(crm: Target) -> None:
    crm.execute("alter table customers alter name type varchar(20)")


def test_a_replay_after_the_repair_closes_the_entry(world: World, crm: Target) -> None:
    entry_id = fail(world, "repaired")
    widen(crm)

    world.replay(entry_id)

    entry = world.entry("repaired")
    assert (entry["state"], entry["resolved_by"], entry["outcome"]) == ("resolved", "replay", "inserted")
    assert crm.rows("select name from customers where number = 'repaired'") == [(LONG,)]


def test_a_replay_without_a_repair_fails_again_in_the_same_entry(world: World, crm: Target) -> None:
    entry_id = fail(world, "unrepaired")

    world.replay(entry_id, codes=(1,))

    entry = world.entry("unrepaired")
    assert (entry["id"], entry["state"], entry["code"], entry["count"]) == (entry_id, "open", "too_long", 2)


def test_two_replays_at_once_are_sent_once(world: World, crm: Target) -> None:
    entry_id = fail(world, "twice")

    # without a worker's answer to the first one, however long the second takes to be asked for
    world.programs[-1].signal(signal.SIGSTOP)
    with ThreadPoolExecutor(2) as both:
        asked = [both.submit(world.replay, entry_id, wait=False, codes=(0, 1)) for _ in range(2)]
        assert all(each.result() for each in asked)
    world.programs[-1].signal(signal.SIGCONT)
    world.until(lambda: world.entry("twice")["state"] == "open", what="the worker's answer")
    world.settle()

    failures = [event for event in world.events() if isinstance(event, SyncFailed)]
    # a worker that was held up for long may tell the same failure again
    assert {event.attempt for event in failures if event.source.record_id == "twice"} == {1, 2}
    codec = Codec()
    decoded = [codec.decode(value) for value in read_topic(world.bootstrap, world.replay_topic)]
    requests = [event for each in decoded if not isinstance(each, Unreadable) for event in events_in(each)]
    sent = [each for each in requests if isinstance(each, ReplayRequest) and each.record_id == "twice"]
    assert len(sent) == 1


def test_a_second_replay_after_the_first_has_nothing_to_do(world: World, crm: Target) -> None:
    entry_id = fail(world, "again")
    widen(crm)
    world.replay(entry_id)
    crm.execute("update customers set name = 'by hand' where number = 'again'")

    world.instep("errors", "replay", entry_id, "--wait", codes=(0, 1))

    assert world.entry("again")["state"] == "resolved"
    assert crm.rows("select name from customers where number = 'again'") == [("by hand",)]


@pytest.mark.parametrize("world", ["latest"], indirect=True, scope="module")
def test_an_overtaken_replay_writes_nothing(world: World, crm: Target) -> None:
    entry_id = fail(world, "overtaken")
    worker = world.programs[-1]
    worker.stop()
    # both wait for the next worker: the replay of the old name, and the new name
    world.replay(entry_id, wait=False)
    world.put("customers", {"number": "overtaken", "name": "newer"})
    world.flush()
    widen(crm)
    world.start_worker()
    world.settle()
    world.until(lambda: world.entry("overtaken")["state"] == "resolved", what="the entry closes")

    world.replay(entry_id, wait=False, codes=(0, 1))
    world.settle()

    assert crm.rows("select name from customers where number = 'overtaken'") == [("newer",)]


@pytest.mark.parametrize("world", ["strict"], indirect=True, scope="module")
def test_changes_that_waited_follow_the_replayed_one_in_their_order(world: World, crm: Target) -> None:
    crm.execute(
        "create table seen (at bigserial, name text)",
        """create function see() returns trigger language plpgsql as
        $$ begin insert into seen (name) values (new.name); return new; end $$""",
        "create trigger see after insert or update on customers for each row execute function see()",
    )
    entry_id = fail(world, "first")
    world.put("customers", *({"number": "first", "name": f"later {n}"} for n in range(5)))
    world.settle()
    assert crm.rows("select * from customers") == []
    widen(crm)

    world.replay(entry_id)
    world.until(lambda: crm.rows("select name from customers") == [("later 4",)], what="all have followed")

    seen = [name for (name,) in crm.rows("select name from seen order by at")]
    crm.execute("drop function see cascade", "drop table seen")
    assert seen == [LONG, *(f"later {n}" for n in range(5))]
    assert world.entry("first")["resolved_by"] == "replay"


def test_a_discarded_entry_is_forgotten_by_the_worker(world: World, crm: Target) -> None:
    entry_id = fail(world, "given-up")

    world.instep("errors", "discard", entry_id, "--yes", "--reason", "test data")
    world.settle()
    world.put("customers", {"number": "given-up", "name": "fine"})
    world.settle()

    assert world.entry("given-up")["state"] == "discarded"
    assert crm.rows("select name from customers where number = 'given-up'") == [("fine",)]


def test_a_corrected_value_is_written_this_once(world: World, crm: Target) -> None:
    entry_id = fail(world, "corrected")

    shown = world.instep("errors", "replay", entry_id, "--set", "name=Adatum", "--yes", "--wait")

    assert f'  name: "{LONG}" → "Adatum"' in shown
    assert "1 entry resolved." in shown
    assert world.entry("corrected")["resolved_by"] == "replay"
    assert crm.rows("select name from customers where number = 'corrected'") == [("Adatum",)]
    world.put("customers", {"number": "corrected", "name": "Contoso"})
    world.settle()
    assert crm.rows("select name from customers where number = 'corrected'") == [("Contoso",)]


def test_a_corrected_value_for_a_field_that_does_not_exist_writes_nothing(world: World, crm: Target) -> None:
    entry_id = fail(world, "miscorrected")

    world.instep("errors", "replay", entry_id, "--set", "nmae=Adatum", "--yes", "--wait", codes=(1,))

    entry = world.entry("miscorrected")
    assert (entry["state"], entry["code"]) == ("open", "correction_invalid")
    assert entry["parameters"]["field"] == "nmae"
    assert crm.rows("select name from customers where number = 'miscorrected'") == []


def test_a_corrected_value_that_nobody_agreed_to_is_not_sent(world: World, crm: Target) -> None:
    entry_id = fail(world, "unasked")

    world.instep("errors", "replay", entry_id, "--set", "name=Adatum", codes=(2,))

    assert world.entry("unasked")["state"] == "open"


def test_a_job_closes_what_its_cause_is_gone_of(world: World, crm: Target) -> None:
    numbers = [f"job-{n}" for n in range(25)]
    world.put("customers", *({"number": number, "name": LONG} for number in numbers))
    world.settle()
    widen(crm)

    said = world.instep(
        "errors", "replay", "--code", "too_long", "--newer-than", "1h", "--rate", "0", "--wait", codes=(0, 1)
    )

    assert {world.entry(number)["resolved_by"] for number in numbers} == {"replay"}
    assert "resolved." in said
    rows = crm.rows("select number from customers where number like 'job-%'")
    assert {number for (number,) in rows} == set(numbers)
