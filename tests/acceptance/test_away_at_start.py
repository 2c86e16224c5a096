"""An app that is away when a worker starts holds back nothing but its own changes."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from schemas.events import SyncProgress
from tests.acceptance.world import MakeWorld, World, mapping
from tests.contract.connectors.target import Target

PAUSED_FOR_EVENTS = 6
CUSTOMERS = "create table customers (number varchar(20) primary key, name varchar(10) not null)"


@dataclass(frozen=True, slots=True)
class Apps:
    """A worker between two apps: `crm` is there, the file of `shop` is away."""

    world: World
    crm: Target
    shop: Path
    away: Path

    def come_back(self) -> None:
        """Put the file of `shop` where it belongs."""
        self.away.rename(self.shop)

    def put(self, *numbers: str) -> None:
        """The same records change for both apps."""
        rows = [{"number": each, "name": "fine"} for each in numbers]
        self.world.put("customers", *rows)
        self.world.put("buyers", *rows)

    def crm_has(self, *numbers: str) -> None:
        """Wait until `crm` has these records."""
        wanted = [(each,) for each in numbers]
        query = "select number from customers order by 1"
        self.world.until(lambda: self.crm.rows(query) == wanted, what="what crm was sent")

    def shop_rows(self) -> list[tuple[object, ...]]:
        """The records that `shop` has."""
        return list(Target("sqlite", f"sqlite:///{self.shop}").rows("select number from buyers order by 1"))


def progress(world: World) -> list[SyncProgress]:
    """What the workers told of their progress."""
    return [each for each in world.events(progress=True) if isinstance(each, SyncProgress)]


def paused_events(world: World) -> list[SyncProgress]:
    """What the workers told of mappings that wait."""
    return [each for each in progress(world) if each.paused_code is not None]


@pytest.fixture
def apps(make_world: MakeWorld, pg_database: str, sqlite_crm: Target, tmp_path: Path) -> Apps:
    sqlite_crm.execute(CUSTOMERS)
    (tmp_path / "shop").mkdir()
    away = tmp_path / "shop.away"
    connection = sqlite3.connect(away)
    connection.execute(CUSTOMERS.replace("customers", "buyers"))
    connection.close()
    shop = tmp_path / "shop" / "shop.db"
    world = make_world(
        {"customers": mapping("customers", "number"), "buyers": mapping("buyers", "number", app="shop")},
        {"crm": sqlite_crm.url, "shop": f"sqlite:///{shop}"},
        worker={"state": {"url": pg_database}},
    )
    return Apps(world, sqlite_crm, shop, away)


def test_changes_of_other_apps_are_applied_meanwhile(apps: Apps) -> None:
    apps.world.start()
    apps.put("a", "b")

    apps.crm_has("a", "b")
    assert apps.world.paused("shop")
    assert not apps.world.paused("crm")


def test_its_changes_wait_and_are_applied_when_it_is_back(apps: Apps) -> None:
    apps.world.start()
    apps.put("a", "b")
    apps.crm_has("a", "b")

    apps.come_back()
    apps.world.settle()

    assert apps.shop_rows() == [("a",), ("b",)]
    assert not apps.world.paused("shop")


def test_it_is_one_app_failure_that_closes_itself(apps: Apps) -> None:
    apps.world.start()
    apps.put("a", "b")
    apps.world.until(lambda: [each["state"] for each in apps.world.entries()] == ["open"])
    (entry,) = apps.world.entries()
    assert (entry["record_id"], entry["code"], entry["scope"]) == ("shop", "unavailable", "app")

    apps.come_back()

    apps.world.until(lambda: [each["state"] for each in apps.world.entries()] == ["resolved"])


def test_the_worker_tells_that_it_lives_and_which_mapping_waits(apps: Apps) -> None:
    apps.world.start()

    def told() -> set[tuple[str, str | None]]:
        return {(each.mapping, each.paused_code) for each in progress(apps.world)}

    apps.world.until(lambda: {("customers", None), ("buyers", "unavailable")} <= told())


def test_partitions_that_move_meanwhile_lose_nothing(apps: Apps) -> None:
    first = apps.world.start()
    apps.put("a")
    apps.crm_has("a")
    second = apps.world.start_worker()
    apps.put("b")
    apps.crm_has("a", "b")
    assert second.stop() == 0

    apps.put("c")
    apps.come_back()
    apps.world.settle()

    assert first.running
    assert apps.shop_rows() == [("a",), ("b",), ("c",)]


def test_partitions_that_move_when_it_is_back_leave_nothing_paused(apps: Apps) -> None:
    first = apps.world.start()
    apps.put("a")
    # by then the next probe is seconds away, and the rebalance comes before it
    apps.world.until(lambda: len(paused_events(apps.world)) >= PAUSED_FOR_EVENTS)

    apps.come_back()
    second = apps.world.start_worker()
    apps.world.settle()

    apps.world.until(lambda: not apps.world.paused("shop", first), what="the first worker goes on")
    apps.world.until(lambda: not apps.world.paused("shop", second), what="the second worker goes on")


def test_a_worker_that_waits_for_an_app_ends_in_time(apps: Apps) -> None:
    worker = apps.world.start()
    apps.world.until(lambda: apps.world.paused("shop"))

    assert worker.stop(within_s=10) == 0


def test_a_table_that_it_turns_out_to_lack_ends_the_worker_with_nothing_lost(apps: Apps) -> None:
    connection = sqlite3.connect(apps.away)
    connection.execute("alter table buyers rename to others")
    connection.close()
    worker = apps.world.start()
    apps.put("a", "b")
    apps.crm_has("a", "b")

    apps.come_back()

    assert worker.wait(within_s=60) == 2
    assert "mappings.buyers.target.entity" in worker.log
    connection = sqlite3.connect(apps.shop)
    connection.execute("alter table others rename to buyers")
    connection.close()
    apps.world.programs.remove(worker)
    apps.world.start_worker()
    apps.world.settle()
    assert apps.shop_rows() == [("a",), ("b",)]
