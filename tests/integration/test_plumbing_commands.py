"""Commands that ask Kafka and the target apps."""

import json
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource

from instep.exit import Exit
from tests.command import Running, run_instep
from tests.services.kafka import Kafka
from tests.services.process import wait_until

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def names() -> dict[str, str]:
    end = uuid4().hex[:12]
    return {
        "group": f"g.{end}",
        "errors": f"errors.{end}",
        "replays": f"g.{end}.replay",
        "source": f"source.{end}",
    }


@pytest.fixture
def written(kafka: Kafka, names: dict[str, str], tmp_path: Path) -> dict[str, Any]:
    """A configuration that is right, with an empty target."""
    return {
        "kafka": {"bootstrap": kafka.bootstrap, "group": names["group"], "errors_topic": names["errors"]},
        "apps": {"erp": {}, "crm": {"connector": "sql", "url": f"sqlite:///{tmp_path}/crm.db"}},
        "mappings": {
            "customers": {
                "source": {"app": "erp", "entity": "customer", "topic": names["source"], "key": "number"},
                "target": {"app": "crm", "entity": "account", "key": "number"},
                "on_delete": "propagate",
                "fields": ["name"],
            }
        },
    }


@pytest.fixture
def instep(written: dict[str, Any], tmp_path: Path) -> Command:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "instep.yaml").write_text(yaml.safe_dump(written))
        answer = run_instep(*arguments, folder=tmp_path)
        assert "Traceback" not in answer.stderr
        return answer

    return run


def make_table(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "crm.db")) as database:
        database.execute(statement)


def test_creates_our_topics_and_reports_those_that_exist(instep: Command, names: dict[str, str]) -> None:
    first = instep("topics", "create", "--partitions", "2")
    second = instep("topics", "create", "--partitions", "2")

    assert (first.returncode, second.returncode) == (Exit.DONE, Exit.DONE)
    assert first.stdout.splitlines() == [
        f"{names['errors']}: created, 2 partitions",
        f"{names['replays']}: created, 2 partitions",
    ]
    assert second.stdout.splitlines() == [
        f"{names['errors']}: exists, 2 partitions",
        f"{names['replays']}: exists, 2 partitions",
    ]


def test_our_topics_are_not_compacted(instep: Command, names: dict[str, str], kafka: Kafka) -> None:
    instep("topics", "create")

    with closing(KafkaAdminClient(bootstrap_servers=kafka.bootstrap)) as admin:
        asked = [ConfigResource("topic", names["errors"], ["cleanup.policy"])]
        described = admin.describe_configs(asked, config_filter="all")
    assert described["topic"][names["errors"]]["cleanup.policy"]["value"] == "delete"


def test_says_when_a_topic_of_ours_is_compacted(instep: Command, names: dict[str, str], kafka: Kafka) -> None:
    kafka.create_topic(names["errors"], config={"cleanup.policy": "compact"})

    answer = instep("topics", "create")

    assert (
        f"{names['errors']}: exists, 1 partitions; its cleanup.policy is compact, but must be delete"
        in answer.stdout
    )


def test_creates_source_topics_only_when_asked(instep: Command, names: dict[str, str]) -> None:
    assert names["source"] not in instep("topics", "create").stdout
    assert (
        f"{names['source']}: created, 3 partitions"
        in instep("topics", "create", "--sources", "--partitions", "3").stdout
    )


def test_brokers_that_are_too_few_are_told(instep: Command) -> None:
    answer = instep("topics", "create", "--replication", "3")

    assert answer.returncode == Exit.FAILED
    assert "Kafka refuses" in answer.stderr


def test_lists_every_topic_that_is_named_and_fails_when_one_is_missing(
    instep: Command, names: dict[str, str]
) -> None:
    instep("topics", "create", "--partitions", "1")

    answer = instep("topics", "list", "--json")

    assert answer.returncode == Exit.FAILED
    assert [json.loads(line) for line in answer.stdout.splitlines()] == [
        {"name": names["errors"], "purpose": "errors", "partitions": 1},
        {"name": names["replays"], "purpose": "replays", "partitions": 1},
        {"name": names["source"], "purpose": "changes", "partitions": None},
    ]


def test_lists_topics_for_people(instep: Command, names: dict[str, str]) -> None:
    instep("topics", "create", "--sources")

    answer = instep("topics", "list")

    assert answer.returncode == Exit.DONE
    assert all(names[name] in answer.stdout for name in ("errors", "replays", "source"))


def test_upgrades_both_databases_and_then_leaves_them(
    instep: Command, written: dict[str, Any], tmp_path: Path
) -> None:
    written["worker"] = {"state": {"url": f"sqlite:///{tmp_path}/state.db"}}
    written["sink"] = {"store": {"url": f"sqlite:///{tmp_path}/store.db"}}

    first, second = instep("db", "upgrade"), instep("db", "upgrade")

    assert (first.returncode, second.returncode) == (Exit.DONE, Exit.DONE)
    assert first.stdout.startswith("worker state: from nothing to ")
    assert [line.rpartition(", ")[2] for line in second.stdout.splitlines()] == ["as it was", "as it was"]


def test_a_check_of_the_apps_finds_nothing_wrong(instep: Command, tmp_path: Path) -> None:
    make_table(tmp_path, "create table account (number integer primary key, name text)")

    answer = instep("config", "check", "--connect")

    assert (answer.returncode, answer.stdout) == (Exit.DONE, "instep.yaml is right: 1 mapping.\n")


@pytest.mark.parametrize(
    ("table", "path", "words"),
    [
        ("create table other (a)", "mappings.customers.target.entity", "account"),
        ("create table account (number integer primary key)", "mappings.customers", "name"),
        (
            "create table account (number integer, name text)",
            "mappings.customers",
            "no primary key or unique index",
        ),
    ],
)
@pytest.mark.parametrize("command", [["config", "check", "--connect"], ["worker", "--drain"]])
def test_a_target_that_lacks_what_a_mapping_needs_is_refused(
    instep: Command, tmp_path: Path, command: list[str], table: str, path: str, words: str
) -> None:
    make_table(tmp_path, table)
    instep("topics", "create", "--sources", "--partitions", "1")

    answer = instep(*command)

    assert answer.returncode == Exit.WRONG_USE
    refusal = answer.stderr.splitlines()[-1]
    assert refusal.startswith(f"instep.yaml: {path}: ")
    assert words in refusal


def test_an_app_that_is_away_is_unreachable_and_not_wrong(instep: Command, written: dict[str, Any]) -> None:
    written["apps"]["crm"]["url"] = "postgresql://u:hunter2@127.0.0.1:1/crm"

    answer = instep("config", "check", "--connect")

    assert answer.returncode == Exit.UNREACHABLE
    assert answer.stderr.startswith("instep.yaml: apps.crm: ")
    assert "hunter2" not in answer.stderr


@pytest.mark.parametrize("command", [["config", "check"], ["worker", "--drain"]])
def test_an_option_that_a_connector_does_not_know_is_refused(
    instep: Command, written: dict[str, Any], command: list[str]
) -> None:
    written["apps"]["crm"]["options"] = {"lock_timeout": 5}

    answer = instep(*command)

    assert answer.returncode == Exit.WRONG_USE
    assert answer.stderr.splitlines()[-1].startswith(
        "instep.yaml: apps.crm.options: unknown option 'lock_timeout'"
    )


@pytest.mark.parametrize("command", [["config", "check", "--connect"], ["worker", "--drain"]])
def test_a_constant_that_its_column_cannot_take_is_refused(
    instep: Command, written: dict[str, Any], tmp_path: Path, command: list[str]
) -> None:
    make_table(tmp_path, "create table account (number integer primary key, name text, credit integer)")
    written["mappings"]["customers"]["fields"] = [{"constant": "erp", "target": "credit"}]
    instep("topics", "create", "--sources", "--partitions", "1")

    answer = instep(*command)

    assert answer.returncode == Exit.WRONG_USE
    assert "credit" in answer.stderr.splitlines()[-1]


def test_a_second_worker_on_the_same_address_for_metrics_is_told(
    instep: Command, written: dict[str, Any]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        written["worker"] = {"metrics": f"127.0.0.1:{taken.getsockname()[1]}"}

        answer = instep("worker", "--drain")

    assert answer.returncode == Exit.WRONG_USE
    assert answer.stderr.splitlines()[-1].startswith("instep.yaml: worker.metrics: cannot listen on")


def test_a_drain_that_is_told_to_stop_before_its_end_is_not_done(
    written: dict[str, Any], tmp_path: Path
) -> None:
    written["kafka"]["bootstrap"] = "127.0.0.1:1"
    (tmp_path / "instep.yaml").write_text(yaml.safe_dump(written))
    log = tmp_path / "worker.log"
    worker = Running(["worker", "--drain"], log, folder=tmp_path)
    wait_until(lambda: "waiting" in log.read_text(), timeout_s=60, what="the worker waits for Kafka")

    worker.send_signal(signal.SIGTERM)

    assert worker.wait(30) == Exit.FAILED
