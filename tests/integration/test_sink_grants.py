"""A sink whose database lets it in and refuses the work: it says what is missing, and goes on when that is there."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest

from tests.command import run_instep
from tests.conftest import CreateTopic
from tests.integration.sink_running import RunningSink, SinkSetup, eventually, running, send
from tests.services.kafka import Kafka, KafkaServer
from tests.services.postgres import Postgres
from tests.sink_events import failed, progress

ENDS_WITHIN_S = 10


@dataclass(frozen=True, slots=True)
class Granted:
    """A setup whose sink is a role without rights of its own."""

    setup: SinkSetup
    postgres: Postgres
    database: str
    role: str

    def do(self, statement: str) -> None:
        """Run a statement as the superuser."""
        self.postgres.execute(statement, database=self.database)


@pytest.fixture
def granted(kafka: Kafka, topic: CreateTopic, tmp_path: Path, postgres: Postgres) -> Iterator[Granted]:
    database, role = postgres.create_database(), f"sink_{uuid4().hex[:8]}"
    postgres.execute(f"create role {role} login password 'instep-test'")
    url = postgres.url(database, user=role)
    setup = SinkSetup(tmp_path, kafka.bootstrap, topic("errors"), "erp-crm.replay", url, {})
    yield Granted(setup, postgres, database, role)
    postgres.drop_database(database)
    postgres.execute(f"drop role {role}")


def test_a_role_that_may_make_no_tables_is_told_and_waited_for(granted: Granted) -> None:
    sink = RunningSink(granted.setup)
    try:
        eventually(lambda: "permission denied for schema public" in sink.log.read_text())
        assert "Traceback" not in sink.log.read_text()

        granted.do(f"grant create on schema public to {granted.role}")

        eventually(sink.is_ready)
    finally:
        sink.kill()


def test_a_grant_that_is_taken_away_while_it_runs_is_told_and_waited_for(granted: Granted) -> None:
    granted.do(f"grant create on schema public to {granted.role}")
    with running(granted.setup) as sink:
        granted.do(f"revoke insert on instep_entry from {granted.role}")
        send(granted.setup.bootstrap, granted.setup.topic, [failed("A")])
        eventually(lambda: "permission denied for table instep_entry" in sink.get("/readyz")[1])

        granted.do(f"grant insert on instep_entry to {granted.role}")

        eventually(lambda: [each.record_id for each in granted.setup.entries()] == ["A"])
        eventually(sink.is_ready)
        assert "Traceback" not in sink.log.read_text()


def test_a_refusal_of_what_is_no_entry_is_told_and_waited_for(granted: Granted) -> None:
    granted.do(f"grant create on schema public to {granted.role}")
    with running(granted.setup) as sink:
        granted.do("alter table instep_worker_progress add constraint refuses check (worker = 'none')")
        send(granted.setup.bootstrap, granted.setup.topic, [failed("A"), progress()])
        eventually(lambda: "CheckViolation" in sink.get("/readyz")[1])

        granted.do("alter table instep_worker_progress drop constraint refuses")

        eventually(lambda: [each.record_id for each in granted.setup.entries()] == ["A"])
        eventually(sink.is_ready)


def test_a_refusal_that_a_chore_meets_is_told_and_keeps_nobody_from_work(granted: Granted) -> None:
    granted.do(f"grant create on schema public to {granted.role}")
    with running(granted.setup) as sink:
        granted.do("alter table instep_tally add constraint refuses check (entries < 0)")
        send(granted.setup.bootstrap, granted.setup.topic, [failed("A")])
        eventually(lambda: "the store refuses it" in sink.log.read_text())

        send(granted.setup.bootstrap, granted.setup.topic, [failed("B")])

        eventually(lambda: {each.record_id for each in granted.setup.entries()} == {"A", "B"})
        assert sink.get("/readyz")[0] == 200
        assert "CheckViolation" in sink.log.read_text()
        assert "Traceback" not in sink.log.read_text()


def test_a_sink_that_loses_kafka_while_its_database_refuses_ends_in_time(
    granted: Granted, own_kafka: KafkaServer
) -> None:
    own_kafka.kafka.create_topic("errors")
    granted.do(f"grant create on schema public to {granted.role}")
    with running(replace(granted.setup, bootstrap=own_kafka.bootstrap, topic="errors")) as sink:
        granted.do(f"revoke insert on instep_entry from {granted.role}")
        send(own_kafka.bootstrap, "errors", [failed("A")])
        eventually(lambda: "permission denied" in sink.get("/readyz")[1])

        own_kafka.stop()
        # it goes round, and hears whether it shall stop
        eventually(lambda: "kafka" in sink.get("/readyz")[1], within_s=ENDS_WITHIN_S)

        began_s = time.monotonic()
        assert sink.stop() == 0
        assert time.monotonic() - began_s < ENDS_WITHIN_S


def test_a_command_without_the_grant_says_so(granted: Granted) -> None:
    granted.do(f"grant create on schema public to {granted.role}")
    with running(granted.setup) as sink:
        granted.do(f"revoke select on instep_entry from {granted.role}")
        answer = run_instep("errors", "list", "-c", sink.file, folder=sink.file.parent, timeout_s=60)

    assert answer.returncode == 3
    assert "permission denied for table instep_entry" in answer.stderr
    assert "Traceback" not in answer.stderr
