"""Many replays in one message, through the whole system: the death of the worker that has them loses and doubles none."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from schemas.codec import Codec
from schemas.events import ReplayBundle, Resolution, ResolvedBundle, SyncResolved
from tests.acceptance.broker import read_topic
from tests.acceptance.world import World, closing_worlds, mapping
from tests.contract.connectors.target import Target
from tests.services.kafka import Kafka
from tests.services.postgres import Postgres

LONG = "much too long"
NUMBERS = [f"C{number:02}" for number in range(40)]


@pytest.fixture
def crm(postgres: Postgres) -> Iterator[Target]:
    name = postgres.create_database()
    found = Target("postgres", postgres.url(name))
    found.execute("create table customers (number varchar(20) primary key, name varchar(10) not null)")
    yield found
    postgres.drop_database(name)


@pytest.fixture
def world(kafka: Kafka, crm: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with closing_worlds(tmp_path_factory.mktemp("together"), kafka.bootstrap) as make:
        made = make({"customers": mapping("customers", "number")}, crm)
        made.start()
        yield made


@contextmanager
def locked(crm: Target) -> Iterator[psycopg.Connection]:
    """Nobody else writes to the table of customers meanwhile."""
    with psycopg.connect(crm.url.replace("postgresql+psycopg", "postgresql")) as connection:
        connection.execute("lock table customers in exclusive mode")
        yield connection


def waits(connection: psycopg.Connection) -> bool:
    """Whether somebody waits for a lock."""
    return bool(connection.execute("select 1 from pg_locks where not granted").fetchone())


def test_replays_that_travel_together_survive_the_worker_that_writes_them(world: World, crm: Target) -> None:
    world.put("customers", *({"number": number, "name": LONG} for number in NUMBERS))
    world.settle()
    crm.execute("alter table customers alter name type varchar(20)")

    with locked(crm) as connection:
        world.instep("errors", "replay", "--mapping", "customers", "--yes")
        world.until(lambda: waits(connection), what="the worker writes the replays")
        world.programs[-1].kill()
    world.start_worker()
    world.until(lambda: len(world.entries("--state", "resolved")) == len(NUMBERS), what="all are resolved")

    codec = Codec()
    asked = [codec.decode(value) for value in read_topic(world.bootstrap, world.replay_topic)]
    answered = [codec.decode(value) for value in read_topic(world.bootstrap, world.errors_topic)]
    ends = [event for event in world.events() if isinstance(event, SyncResolved)]
    assert any(isinstance(each, ReplayBundle) for each in asked)
    assert any(isinstance(each, ResolvedBundle) for each in answered)
    assert sorted(end.record_id for end in ends if end.how is Resolution.REPLAY) == NUMBERS
    assert sorted(crm.rows("select number, name from customers")) == [(number, LONG) for number in NUMBERS]
