"""Monday morning: two mappings, five causes behind many open entries, and what an admin does about the first of them."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kafka import KafkaProducer

from schemas.catalogue import catalogue
from tests.acceptance.program import Program
from tests.acceptance.world import World, closing_worlds, mapping
from tests.contract.connectors.target import Target
from tests.services.kafka import Kafka
from tests.services.postgres import Postgres

TABLES = (
    """create table customers (
        number varchar(10) primary key, name varchar(20) not null, email varchar(60) not null, credit numeric(6, 2)
    )""",
    "create table orders (id int primary key, quantity int constraint quantity_above_zero check (quantity > 0), due date)",
)
WIDEN = "alter table customers alter name type varchar(60)"
NARROW = ("delete from customers", "alter table customers alter name type varchar(20)")
STREETS = ("Harbour", "Market", "Station", "Castle", "Mill", "Bridge", "Garden", "Tower")


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause: its title in the catalogue, whose records have it, how many of them, and what is wrong in their rows."""

    title: str
    mapping: str
    records: int
    values: Mapping[str, Any]


TOO_LONG = Cause("A value is too long", "customers", 60, {"name": "Harbour Street Trading and Sons"})
NO_EMAIL = Cause("A required value is missing", "customers", 14, {"email": None})
NO_SUCH_CREDIT = Cause("A value is out of range", "customers", 9, {"credit": "1250000.00"})
NO_QUANTITY = Cause("The target refused the record", "orders", 12, {"quantity": 0})
NO_DATE = Cause("A value is of the wrong type", "orders", 7, {"due": "next Tuesday"})
CAUSES = (TOO_LONG, NO_EMAIL, NO_SUCH_CREDIT, NO_QUANTITY, NO_DATE)
OPEN = sum(cause.records for cause in CAUSES)


class Monday:
    """The system as the admin finds it; `url` is where the page is."""

    def __init__(self, world: World, crm: Target, sink: Program) -> None:
        self.world, self.crm = world, crm
        self.url = f"http://127.0.0.1:{sink.port}"
        self._weeks = 0

    def come(self, *, quiet: bool = False) -> None:
        """Have records of every cause fail, other ones each time, among some that go through; on a quiet day only a few."""
        if self.open_entries():
            self.clear()
        self._weeks += 1
        self.crm.execute(*NARROW)
        number = self._weeks * 1000
        records = {cause.title: max(2, cause.records // 5) if quiet else cause.records for cause in CAUSES}
        for cause in CAUSES:
            for _ in range(records[cause.title]):
                number += 1
                self.world.put(cause.mapping, _row(cause, number))
        self.world.put("customers", *(_customer(number + each) for each in range(1, 41)))
        self.world.settle()
        self.world.until(
            lambda: len(self.open_entries()) == sum(records.values()), what="all entries of the morning"
        )

    def clear(self) -> None:
        """Archive and delete all that is on the list."""
        self.world.instep("errors", "clear", "--include-open", "--yes")

    def open_entries(self, cause: Cause | None = None) -> list[dict[str, Any]]:
        """What is open, of one cause or of all."""
        found = self.world.entries("--state", "open")
        return [each for each in found if cause is None or cause.title == catalogue()[each["code"]].title]

    def garble(self) -> None:
        """Have something on the error topic that no version can read."""
        with closing(KafkaProducer(bootstrap_servers=self.world.bootstrap)) as producer:
            producer.send(self.world.errors_topic, b"\x00\x01 no event \xff", key=b"nobody").get(30)
        self.world.settle()

    def widen(self) -> None:
        """What the admin does about names that are too long."""
        self.crm.execute(WIDEN)


@contextmanager
def monday(folder: Path, kafka: Kafka, postgres: Postgres) -> Iterator[Monday]:
    """A worker and a sink at work, with target and store in PostgreSQL."""
    crm_name, store_name = postgres.create_database(), postgres.create_database()
    crm = Target("postgres", postgres.url(crm_name))
    crm.execute(*TABLES)
    link = "https://erp.example/{entity}/{id}"
    mappings = {
        "customers": mapping(
            "customers", "number", source={"link": link.format(entity="customers", id="{number}")}
        ),
        "orders": mapping("orders", source={"link": link.format(entity="orders", id="{id}")}),
    }
    try:
        with closing_worlds(folder, kafka.bootstrap) as make:
            world = make(mappings, crm, sink={"store": {"url": postgres.url(store_name)}})
            sink = world.start_sink()
            world.start_worker()
            yield Monday(world, crm, sink)
    finally:
        postgres.drop_database(crm_name)
        postgres.drop_database(store_name)


def _row(cause: Cause, number: int) -> dict[str, Any]:
    if cause.mapping == "customers":
        return _customer(number) | dict(cause.values)
    return {"id": number, "quantity": 1 + number % 5, "due": f"2026-12-{1 + number % 28:02}"} | dict(
        cause.values
    )


def _customer(number: int) -> dict[str, Any]:
    street = STREETS[number % len(STREETS)]
    name = f"{street} {number}"
    return {
        "number": f"C{number:05}",
        "name": name,
        "email": f"office@{street.lower()}.example",
        "credit": "500.00",
    }
