"""What operations see: a real Prometheus scrapes worker and sink, and fires the right alert and no other."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import yaml
from kafka import KafkaAdminClient

from tests.acceptance.program import Program
from tests.acceptance.watched import DEPLOYED, heard, queries, watching
from tests.acceptance.world import MakeWorld, World, mapping
from tests.contract.connectors.target import Target
from tests.services.postgres import PostgresServer
from tests.services.prometheus import Prometheus
from tests.unit.house import ROOT

DASHBOARD = ROOT / "deploy" / "grafana" / "instep.json"


@dataclass(frozen=True, slots=True)
class Watched:
    """A running world and the Prometheus that watches it."""

    world: World
    worker: Program
    sink: Program
    prometheus: Prometheus
    since_s: float

    def fired(self) -> set[str]:
        """The alerts that have fired since all was well."""
        return self.prometheus.fired(time.monotonic() - self.since_s)


@contextmanager
def running(make_world: MakeWorld, crm: Target, request: pytest.FixtureRequest) -> Iterator[Watched]:
    crm.execute("create table customers (number varchar(20) primary key, name varchar(10) not null)")
    world = make_world({"customers": mapping("customers", "number")}, crm)
    sink, worker = world.start_sink(), world.start_worker()
    world.until(lambda: heard(world, sink), what="the sink hears the worker")
    with watching(world, worker, sink, request) as prometheus:
        world.put("customers", {"number": "first", "name": "fine"})
        world.until(
            lambda: prometheus.query("sum(increase(instep_changes_total[1m])) > 0"),
            what="Prometheus sees a change",
        )
        # before its first look at them Prometheus misses both
        world.until(lambda: not prometheus.firing(), what="all is well")
        yield Watched(world, worker, sink, prometheus, time.monotonic())


@pytest.fixture
def watched(make_world: MakeWorld, sqlite_crm: Target, request: pytest.FixtureRequest) -> Iterator[Watched]:
    with running(make_world, sqlite_crm, request) as watched:
        yield watched


@pytest.fixture
def watched_with_server(
    make_world: MakeWorld, own_postgres: PostgresServer, request: pytest.FixtureRequest
) -> Iterator[Watched]:
    crm = Target("postgres", own_postgres.postgres.url(own_postgres.postgres.create_database()))
    with running(make_world, crm, request) as watched:
        yield watched


def test_the_rules_load_and_a_healthy_system_fires_none(watched: Watched) -> None:
    rules = watched.prometheus.rules

    watched.world.until(lambda: {rule["health"] for rule in rules()} == {"ok"}, what="all rules work")

    content = yaml.safe_load((DEPLOYED / "rules.yml").read_text())
    written = [rule for group in content["groups"] for rule in group["rules"]]
    named = sorted(rule.get("alert") or rule["record"] for rule in written)
    assert sorted(rule["name"] for rule in rules()) == named
    assert watched.fired() == set()


def test_a_target_database_that_is_stopped_fires_its_alert_and_no_other(
    watched_with_server: Watched, own_postgres: PostgresServer
) -> None:
    watched = watched_with_server
    world, prometheus = watched.world, watched.prometheus

    own_postgres.stop()
    world.put("customers", {"number": "second", "name": "fine"})
    world.until(
        lambda: prometheus.query('ALERTS{alertname="InstepAppPaused",severity="page",alertstate="firing"}'),
        what="the alert pages",
    )
    annotations = prometheus.firing()["InstepAppPaused"]
    own_postgres.start()
    world.until(lambda: not prometheus.firing(), what="the alert is over")

    assert annotations["summary"] == "crm is paused."
    assert annotations["runbook_url"].endswith("/docs/runbooks/InstepAppPaused.md")
    assert watched.fired() == {"InstepAppPaused"}


def test_a_worker_that_stops_is_missed_by_the_sink(watched: Watched) -> None:
    world, prometheus = watched.world, watched.prometheus
    silent = {"InstepWorkerSilent", "InstepProcessDown"}

    watched.worker.kill()

    world.until(lambda: prometheus.firing().keys() == silent, what="the worker is missed")
    assert prometheus.firing()["InstepWorkerSilent"]["summary"] == "No worker is at work on customers."
    assert watched.fired() == silent


def test_a_sink_that_stops_is_missed(watched: Watched) -> None:
    world, prometheus = watched.world, watched.prometheus
    silent = {"InstepSinkSilent", "InstepProcessDown"}

    watched.sink.kill()

    world.until(lambda: prometheus.firing().keys() == silent, what="the sink is missed")
    assert watched.fired() == silent


def test_an_error_topic_that_is_gone_is_noticed_though_nothing_fails(watched: Watched) -> None:
    world, prometheus = watched.world, watched.prometheus

    admin = KafkaAdminClient(bootstrap_servers=world.bootstrap)
    admin.delete_topics([world.errors_topic])
    admin.close()

    world.until(lambda: "InstepPathBroken" in prometheus.firing(), what="the broken path is seen")
    assert "InstepWorkerSilent" not in watched.fired()


def test_every_query_of_the_dashboard_returns_series(watched: Watched) -> None:
    world, prometheus = watched.world, watched.prometheus
    world.put(
        "customers", {"number": "long", "name": "much too long"}, {"number": "other", "name": "too long also"}
    )
    world.settle()
    world.replay(world.entry("long")["id"], codes=(1,))
    world.put("customers", {"number": "long", "name": "short"})
    world.settle()
    empty: dict[str, str] = {}

    def all_return_series() -> bool:
        empty.clear()
        empty.update(
            {name: query for name, query in queries(DASHBOARD).items() if not prometheus.query(query)}
        )
        return not empty

    try:
        world.until(all_return_series, timeout_s=30, what="series for every query")
    except AssertionError:
        pytest.fail(f"no series: {empty}")
