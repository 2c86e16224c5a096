"""Real changes that Debezium wrote go through Kafka into real databases, which end as the source was."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.acceptance.captures import (
    CAPTURES,
    DDL,
    TABLES,
    UNHELD,
    differences,
    expected,
    register_all,
    send_capture,
)
from tests.acceptance.world import Entry, World, closing_worlds, mapping
from tests.contract.connectors.target import Target
from tests.services.kafka import Kafka
from tests.services.registry import Registry

KEYS = {"customers": "number", "orders": "id", "order_lines": ("order_id", "line"), "nopk": "a"}
TRUNCATE = b'{"before": null, "after": null, "source": {"ts_ms": 1}, "op": "t", "ts_ms": 1}'


@dataclass(frozen=True, slots=True)
class Settled:
    """A world in which all captures have been applied, each to an app of its own."""

    world: World
    apps: dict[str, Target]
    entries: list[Entry]

    def open_entries(self, capture: str) -> list[Entry]:
        return [
            entry
            for entry in self.entries
            if entry["state"] != "resolved" and entry["mapping"].startswith(f"{capture}-")
        ]


@pytest.fixture(scope="module", params=["postgres", "mariadb"])
def settled(
    request: pytest.FixtureRequest, kafka: Kafka, registry: Registry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settled]:
    server: Any = request.getfixturevalue(request.param)
    names = {capture: server.create_database() for capture in CAPTURES}
    apps = {capture: Target(request.param, server.url(name)) for capture, name in names.items()}
    for app in apps.values():
        app.execute(*DDL[request.param])
    mappings = {
        f"{capture}-{table}": mapping(table, KEYS[table], app=capture)
        for capture in CAPTURES
        for table in TABLES
    }
    with closing_worlds(tmp_path_factory.mktemp("captures"), kafka.bootstrap) as make:
        urls = {capture: app.url for capture, app in apps.items()}
        world = make(mappings, urls, kafka={"registry": {"url": registry.url}}, partitions=4)
        ids = register_all(registry.register, world.name)
        for capture in CAPTURES:
            send_capture(world, capture, ids)
            world.send(f"{capture}-order_lines", None, TRUNCATE)
        world.start()
        world.settle()
        # an order may come before its customer: that is tried again after seconds
        world.until(lambda: not world.entries("--state", "waiting", "--state", "replaying"))
        yield Settled(world, apps, world.entries())
    for name in names.values():
        server.drop_database(name)


@pytest.mark.parametrize("capture", CAPTURES)
@pytest.mark.parametrize("table", ["customers", "orders"])
def test_a_table_ends_as_it_was_in_the_source(settled: Settled, capture: str, table: str) -> None:
    crm = settled.apps[capture]

    assert differences(crm, table, capture) == []
    assert crm.rows(f"select count(*) from {table}") == [(len(expected(table, crm.dialect, capture)),)]


@pytest.mark.parametrize("capture", CAPTURES)
def test_a_composite_key_is_followed_and_a_truncate_left_alone(settled: Settled, capture: str) -> None:
    lines = settled.apps[capture].rows(
        "select order_id, line, item, qty, price from order_lines order by line"
    )

    assert [tuple(str(value) for value in line[:3]) for line in lines] == [
        ("1", "1", "A-1"),
        ("1", "2", "A-2"),
    ]
    assert [(float(line[3]), float(line[4])) for line in lines] == [(2.0, 10.0), (2.0, 0.01)]


@pytest.mark.parametrize("capture", CAPTURES)
def test_a_table_without_key_is_kept_by_the_key_of_the_mapping(settled: Settled, capture: str) -> None:
    assert settled.apps[capture].rows("select a, b from nopk") == [(1, "x")]


@pytest.mark.parametrize("capture", CAPTURES)
def test_only_what_the_target_cannot_hold_is_an_entry(settled: Settled, capture: str) -> None:
    unheld = UNHELD.get((settled.apps[capture].dialect, capture), ())

    found = sorted(settled.open_entries(capture), key=lambda entry: str(entry["record_id"]))

    assert [(entry["record_id"], entry["code"], entry["count"]) for entry in found] == [
        (number, "out_of_range", 1) for number in unheld
    ]
    assert "infinity" not in str(found)


def test_what_came_before_its_parent_was_released(settled: Settled) -> None:
    over = [entry for entry in settled.entries if entry["state"] == "resolved"]

    assert {entry["resolved_by"] for entry in over} <= {"released", "superseded"}
