"""Bad records: each ends in one clear entry, the good ones around it are applied, and a repair closes the entry."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.acceptance.bad_records import TABLES, Bad, all_bad, no_failure, register_schemas
from tests.acceptance.world import Entry, World, closing_worlds, mapping
from tests.contract.connectors.target import Target
from tests.services.kafka import Kafka
from tests.services.registry import Registry

# every kind of database, and both orders
STORIES = [("postgres", "latest"), ("mariadb", "strict"), ("sqlite", "latest"), ("postgres", "strict")]
TITLES = [each.title for each in all_bad("postgres")]
PARENT, CHILD, WAITING_CHILD = "parent", 2, 1
HEALED = ("unique-freed", str(WAITING_CHILD), PARENT)
# the schedule's first tries come after 5 and 15 s more
HEALS_WITHIN_S = 60


@dataclass(slots=True)
class Story:
    """Bad records among good ones, looked at before and after their repair; entries by record."""

    world: World
    crm: Target
    order: str
    cases: list[tuple[Bad, str]]
    goods: list[str]
    failed: dict[str, Entry]
    rows: set[str]
    repaired: dict[str, Entry]

    @property
    def known(self) -> list[Bad]:
        """The bad records whose number is known, but for those that heal of themselves."""
        return [
            case
            for case, record in self.cases
            if case.code and not record.startswith("@") and case.number not in HEALED
        ]


@pytest.fixture(scope="module", params=STORIES, ids="-".join)
def story(
    request: pytest.FixtureRequest, kafka: Kafka, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    dialect, order = request.param
    folder = tmp_path_factory.mktemp("records")
    if dialect == "sqlite":
        sqlite3.connect(folder / "crm.db").close()
        url = f"sqlite:///{folder}/crm.db"
    else:
        server: Any = request.getfixturevalue(dialect)
        name = server.create_database()
        url = server.url(name)
    crm = Target(dialect, url)
    crm.execute(*TABLES)
    with closing_worlds(folder, kafka.bootstrap) as make:
        mappings = {
            "customers": mapping("customers", "number", order=order),
            "orders": mapping("orders", order=order),
        }
        world = make(mappings, crm, kafka={"registry": {"url": registry.url}})
        yield tell(world, crm, order, register_schemas(registry.register, world.name))
    if dialect != "sqlite":
        server.drop_database(name)


def tell(world: World, crm: Target, order: str, schema_ids: tuple[int, int]) -> Story:
    crm.execute(
        "insert into customers (number, name, tax_id) values "
        "('first', 'fine', 'hush-1'), ('second', 'fine', 'hush-2'), ('parent', 'fine', null)",
        f"insert into orders values ({CHILD}, '{PARENT}')",
    )
    cases, goods = send_bad_among_good(world, all_bad(crm.dialect, *schema_ids) + no_failure())
    world.put("orders", {"id": WAITING_CHILD, "customer": "absent"}, {"id": 3, "customer": "first"})
    world.delete("customers", {"number": PARENT, "name": "fine"})
    # all of it is there before the first poll: good and bad share their batches
    world.flush()
    world.start()
    world.settle()
    failed = {entry["record_id"]: entry for entry in world.entries()}
    rows = {number for (number,) in crm.rows("select number from customers")}
    story = Story(world, crm, order, cases, goods, failed, rows, {})
    repair(story)
    story.repaired = {entry["record_id"]: entry for entry in world.entries()}
    return story


def send_bad_among_good(world: World, bad: list[Bad]) -> tuple[list[tuple[Bad, str]], list[str]]:
    """Returns each bad message with its record's id, and the numbers of the good ones."""
    cases, goods = [], []
    for number, each in enumerate(bad):
        goods.append(f"good-{number}")
        world.put("customers", {"number": goods[-1], "name": "fine"})
        sent = world.send("customers", each.key, each.value)
        place = sent.get(30)
        is_known = each.code and each.key is not None and f'"{each.number}"'.encode() in each.key
        where = f"@{place.topic}/{place.partition}/{place.offset}"
        cases.append((each, each.number if is_known or not each.code else where))
    return cases, goods


def repair(story: Story) -> None:
    world = story.world
    world.put(
        "customers", {"number": "absent", "name": "fine"}, {"number": "first", "name": "fine", "tax_id": None}
    )
    world.delete("orders", {"id": CHILD, "customer": PARENT})
    world.put("customers", *({"number": case.number, "name": "right"} for case in story.known))
    world.settle()

    def healed() -> bool:
        states = {entry["record_id"]: entry["state"] for entry in world.entries()}
        return all(states[record] == "resolved" for record in HEALED)

    world.until(healed, timeout_s=HEALS_WITHIN_S, what="what waited for others is released")


@pytest.mark.parametrize("title", TITLES)
def test_a_bad_record_is_one_entry_with_its_code(story: Story, title: str) -> None:
    (case, record), *others = [(case, record) for case, record in story.cases if case.title == title]

    assert not others
    if case.code is None:
        assert record not in story.failed
    else:
        entry = story.failed[record]
        assert (entry["code"], entry["count"], entry["mapping"]) == (case.code, 1, "customers")
        assert entry["message"]


@pytest.mark.parametrize("title", [each.title for each in no_failure()])
def test_what_is_odd_but_right_is_no_entry(story: Story, title: str) -> None:
    assert title.replace(" ", "-") not in story.failed


def test_there_are_no_other_entries(story: Story) -> None:
    assert set(story.failed) == {record for case, record in story.cases if case.code} | set(HEALED)


def test_good_records_around_bad_ones_are_applied(story: Story) -> None:
    assert set(story.goods) <= story.rows


@pytest.mark.parametrize(
    ("record", "code"),
    [
        ("unique-freed", "duplicate_key"),
        (str(WAITING_CHILD), "reference_missing"),
        (PARENT, "still_referenced"),
    ],
)
def test_what_needs_another_record_waits_for_it_and_closes_itself(
    story: Story, record: str, code: str
) -> None:
    before, after = story.failed[record], story.repaired[record]

    assert (before["code"], before["state"]) == (code, "waiting")
    assert before["retry_at"] is not None
    assert (after["state"], after["resolved_by"]) == ("resolved", "released")


def test_what_was_released_is_in_the_target(story: Story) -> None:
    assert story.crm.rows("select tax_id from customers where number = 'unique-freed'") == [("hush-1",)]
    assert story.crm.rows("select id from orders order by id") == [(WAITING_CHILD,), (3,)]
    assert story.crm.rows(f"select number from customers where number = '{PARENT}'") == []


def test_a_later_good_change_closes_the_entry_or_in_strict_order_waits_behind_it(story: Story) -> None:
    known = [case.number for case in story.known]
    stand = {(story.repaired[number]["state"], story.repaired[number]["resolved_by"]) for number in known}

    if story.order == "latest":
        assert stand == {("resolved", "superseded")}
        assert names(story) == dict.fromkeys(known, "right")
    else:
        assert stand <= {("open", None), ("waiting", None)}
        assert names(story) == {}


def test_what_waited_in_strict_order_follows_when_the_failure_is_given_up(story: Story) -> None:
    known = [case.number for case in story.known]

    story.world.instep("errors", "discard", "--yes", "--mapping", "customers", codes=(0, 1))
    story.world.until(lambda: names(story) == dict.fromkeys(known, "right"), what="later changes follow")

    assert story.world.entries("--state", "open", "--state", "waiting") == []


def test_no_value_of_a_field_is_told(story: Story) -> None:
    for entry in [*story.failed.values(), *story.repaired.values()]:
        assert "hush" not in str(entry)
    assert "hush" not in story.world.logs()
    assert "Traceback" not in story.world.logs()


def names(story: Story) -> dict[str, str]:
    """What the target says of the bad records whose number is known."""
    known = ", ".join(f"'{case.number}'" for case in story.known)
    return dict(story.crm.rows(f"select number, name from customers where number in ({known})"))
