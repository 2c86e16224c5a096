"""Replay jobs of sinks that are killed, paused and cut off, on a real Kafka; PostgreSQL where it says so, else SQLite."""

import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import orjson
import psycopg
import pytest
from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import update

from schemas.bundles import MANY
from schemas.events import ReplayRequest, Resolution
from sink.jobs import JobState
from sink.store import tables
from sink.store.jobs import Job, read_jobs
from sink.store.replays import CLAIM_HOLDS_US
from tests.command import INSTEP, run_instep
from tests.conftest import CreateTopic
from tests.integration.sink_running import (
    PATIENCE_S,
    RunningSink,
    SinkSetup,
    eventually,
    running,
    send,
)
from tests.services.kafka import Kafka
from tests.services.postgres import PostgresServer
from tests.sink_events import CODEC, failed, resolved
from worker.replay import requests_in


@pytest.fixture
def setup(kafka: Kafka, topic: CreateTopic, tmp_path: Path) -> SinkSetup:
    replay_topic = topic("erp-crm") + ".replay"
    kafka.create_topic(replay_topic)
    return SinkSetup(
        tmp_path,
        kafka.bootstrap,
        topic("errors", partitions=3),
        replay_topic,
        f"sqlite:///{tmp_path}/sink.db",
        {},
    )


@pytest.fixture
def on_postgres(setup: SinkSetup, pg_database: str) -> SinkSetup:
    return replace(setup, store_url=pg_database)


class Topic:
    """The topic that requests go to, read to its end again and again."""

    def __init__(self, setup: SinkSetup) -> None:
        self._place = TopicPartition(setup.replay_topic, 0)
        self._consumer = KafkaConsumer(bootstrap_servers=setup.bootstrap)
        self._consumer.assign([self._place])
        self._consumer.seek_to_beginning()
        self.requests: list[ReplayRequest] = []

    def read(self) -> list[ReplayRequest]:
        """Return what came since the last time."""
        before = len(self.requests)
        end = self._consumer.end_offsets([self._place])[self._place]
        while self._consumer.position(self._place) < end:
            for messages in self._consumer.poll(200).values():
                self.requests += requests_in(messages, CODEC.decode, len(messages) * MANY).requests
        return self.requests[before:]

    def holds(self, number: int) -> bool:
        """Whether so many requests are there."""
        self.read()
        return len(self.requests) == number

    def twice(self) -> dict[str, int]:
        """Return the records that were asked for more than once."""
        counted = Counter(each.record_id for each in self.requests)
        return {record: number for record, number in counted.items() if number > 1}

    def close(self) -> None:
        self._consumer.close()


@pytest.fixture
def topic_of_replays(setup: SinkSetup) -> Iterator[Topic]:
    found = Topic(setup)
    yield found
    found.close()


def cli(sink: RunningSink, *words: str, codes: tuple[int, ...] = (0,)) -> str:
    """Run a command with the sink's configuration; returns what it prints."""
    answer = run_instep(*words, "-c", sink.file, folder=sink.file.parent)
    assert answer.returncode in codes, answer.stderr + answer.stdout
    return answer.stdout


def fail(setup: SinkSetup, number: int) -> None:
    """Have so many entries in the store of a sink that runs."""
    to = setup.replay_topic
    send(setup.bootstrap, setup.topic, [failed(f"C{n:05}", n, replay_topic=to) for n in range(number)])
    eventually(lambda: setup.counted() == number)


def start(sink: RunningSink, *options: str) -> str:
    """Start a job over all that is open; returns its id."""
    command = ("errors", "replay", "--state", "open", *options, "--json")
    return str(orjson.loads(cli(sink, *command))["id"])


def job(setup: SinkSetup) -> Job:
    """Return the newest job."""
    store = setup.store()
    try:
        with store.reading() as connection:
            return read_jobs(connection, limit=1)[0]
    finally:
        store.close()


def answer(setup: SinkSetup, requests: list[ReplayRequest]) -> None:
    """Have the worker say that these went through."""
    changes = [(failed(each.record_id, each.position.offset), each.replay_id) for each in requests]
    done = [resolved(change, Resolution.REPLAY, replay_id=replay_id) for change, replay_id in changes]
    send(setup.bootstrap, setup.topic, done)


def has_handled(setup: SinkSetup, number: int) -> bool:
    """Whether the newest job has handled so many entries."""
    return job(setup).handled >= number


def let_time_pass(setup: SinkSetup, us: int) -> None:
    """Make the claims of a sink that is gone so much older."""
    store = setup.store()
    claimed = tables.replay.c.claimed_us
    with store.writing() as connection:
        connection.execute(update(tables.replay).where(claimed.is_not(None)).values(claimed_us=claimed - us))
        connection.execute(update(tables.job).values(leased_until_us=0))
    store.close()


def test_sink_killed_in_the_middle_of_a_job_loses_and_doubles_nothing(
    on_postgres: SinkSetup, topic_of_replays: Topic
) -> None:
    with running(on_postgres) as sink:
        fail(on_postgres, 3000)
        start(sink, "--rate", "0", "--canaries", "0")
        eventually(lambda: job(on_postgres).handled >= 500, every_s=0.01)
        sink.kill()
    for _ in range(2):
        let_time_pass(on_postgres, CLAIM_HOLDS_US)
        with running(on_postgres) as sink:
            before = min(job(on_postgres).handled, 2999)
            eventually(partial(has_handled, on_postgres, before + 1), every_s=0.01)
            sink.kill()
    let_time_pass(on_postgres, CLAIM_HOLDS_US)
    with running(on_postgres):
        eventually(lambda: topic_of_replays.read() == [] and len(topic_of_replays.requests) >= 3000)
        assert topic_of_replays.twice() == {}
        answer(on_postgres, topic_of_replays.requests)
        eventually(lambda: job(on_postgres).state is JobState.DONE)
    assert job(on_postgres).counts.resolved == 3000
    assert topic_of_replays.holds(3000)


def test_sink_killed_between_sending_and_noting_so_sends_nothing_twice(
    on_postgres: SinkSetup, topic_of_replays: Topic
) -> None:
    with running(on_postgres) as sink:
        fail(on_postgres, 5)
        # nobody can note that a request was sent
        with psycopg.connect(_dsn(on_postgres), autocommit=True) as admin:
            admin.execute(
                """create function hold() returns trigger language plpgsql as
                $$ begin perform pg_sleep(3600); return new; end $$"""
            )
            admin.execute(
                """create trigger hold before update of sent_us on instep_replay for each row
                when (new.sent_us is not null) execute function hold()"""
            )
            start(sink, "--rate", "0", "--canaries", "0")
            eventually(lambda: topic_of_replays.holds(5))
            sink.kill()
            admin.execute(
                """select pg_terminate_backend(pid) from pg_stat_activity
                where wait_event = 'PgSleep' and datname = current_database()"""
            )
            admin.execute("drop function hold cascade")
    let_time_pass(on_postgres, CLAIM_HOLDS_US)
    with running(on_postgres) as sink:
        eventually(lambda: sink.metric("instep_replays_in_flight") == 5)
        assert topic_of_replays.holds(5)
        answer(on_postgres, topic_of_replays.requests)
        eventually(lambda: job(on_postgres).state is JobState.DONE)
        assert job(on_postgres).counts.resolved == 5


def test_request_that_a_killed_sink_had_claimed_and_not_sent_is_sent(
    setup: SinkSetup, topic_of_replays: Topic
) -> None:
    with running(setup) as sink:
        fail(setup, 1)
        sink.kill()
    store = setup.store()
    with store.writing() as connection:
        (entry,) = setup.entries()
        connection.execute(
            tables.replay.insert().values(
                id="left-behind",
                entry_id=entry.id,
                failure_id=entry.failure_id,
                decision="retry",
                scheduled=False,
                actor="ann",
                requested_us=entry.last_failed_us,
                claimed_us=entry.last_failed_us,
            )
        )
        moved = tables.entry.update().values(state="replaying", replay_id="left-behind")
        connection.execute(moved)
    store.close()
    patient = replace(setup, settings={"replay_timeout_s": 1_000_000_000})
    with running(patient):
        eventually(topic_of_replays.read)
    topic_of_replays.read()
    assert [each.replay_id for each in topic_of_replays.requests] == ["left-behind"]


def test_job_without_a_worker_ends_with_unconfirmed_entries(setup: SinkSetup) -> None:
    hasty = replace(setup, settings={"replay_timeout_s": 1})
    with running(hasty) as sink:
        fail(hasty, 20)
        start(sink, "--canaries", "0", "--rate", "0")
        eventually(lambda: job(hasty).state is JobState.DONE)
        assert job(hasty).counts.unconfirmed == 20
        eventually(lambda: sink.metric('instep_replays_total{result="unconfirmed"}') == 20)


def test_job_without_a_worker_stops_at_its_canaries(setup: SinkSetup, topic_of_replays: Topic) -> None:
    hasty = replace(setup, settings={"replay_timeout_s": 1})
    with running(hasty) as sink:
        fail(hasty, 50)
        output = cli(
            sink,
            "errors",
            "replay",
            "--state",
            "open",
            "--canaries",
            "10",
            "--wait",
            "--timeout",
            "30",
            codes=(1,),
        )
    assert "not answered in time." in output
    assert "The job stopped itself: " in output
    assert topic_of_replays.holds(10)


def test_job_is_followed_to_its_end(setup: SinkSetup, topic_of_replays: Topic) -> None:
    with running(setup) as sink:
        fail(setup, 30)
        command = [
            INSTEP,
            "errors",
            "replay",
            "--state",
            "open",
            "--rate",
            "0",
            "--wait",
            "-c",
            str(sink.file),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asking:
            eventually(partial(topic_of_replays.holds, 10))
            answer(setup, topic_of_replays.requests)
            eventually(partial(topic_of_replays.holds, 30))
            answer(setup, topic_of_replays.requests[10:])
            output, errors = asking.communicate(timeout=PATIENCE_S)
        assert (asking.returncode, errors, output) == (0, "", "30 entries resolved.\n")
        assert "done" in cli(sink, "replays", "list")
        assert "30" in cli(sink, "replays", "show", job(setup).id[:6])


def test_job_is_paused_resumed_and_cancelled_from_the_command_line(
    setup: SinkSetup, topic_of_replays: Topic
) -> None:
    with running(setup) as sink:
        fail(setup, 400)
        job_id = start(sink, "--rate", "10", "--canaries", "0")
        eventually(lambda: job(setup).handled > 10)
        assert "is paused" in cli(sink, "replays", "pause", job_id)
        stands = job(setup).handled
        assert 0 < stands < 400
        assert cli(sink, "replays", "pause", job_id, codes=(1,)) == ""
        assert job(setup).handled == stands
        assert "goes on" in cli(sink, "replays", "resume", job_id)
        eventually(lambda: job(setup).handled > stands)
        assert "is cancelled" in cli(sink, "replays", "cancel", job_id)
        stands = job(setup).handled
        assert stands < 400
        eventually(lambda: topic_of_replays.holds(stands))
        answer(setup, topic_of_replays.requests)
        eventually(lambda: job(setup).finished_us is not None)
        assert (job(setup).handled, job(setup).counts.resolved) == (stands, stands)


def test_database_gone_in_the_middle_of_a_job_loses_and_doubles_nothing(
    own_postgres: PostgresServer, setup: SinkSetup, topic_of_replays: Topic
) -> None:
    away = replace(setup, store_url=own_postgres.postgres.url(own_postgres.postgres.create_database()))
    with running(away) as sink:
        fail(away, 600)
        start(sink, "--rate", "200", "--canaries", "0")
        eventually(lambda: job(away).handled > 50)
        own_postgres.kill()
        eventually(lambda: "the store is away" in sink.log.read_text())
        own_postgres.start()
        eventually(lambda: job(away).handled == 600)
        let_time_pass(away, CLAIM_HOLDS_US)
        eventually(lambda: topic_of_replays.read() == [] and len(topic_of_replays.requests) >= 600)
        assert topic_of_replays.twice() == {}
        answer(away, topic_of_replays.requests)
        eventually(lambda: job(away).state is JobState.DONE)
        assert job(away).counts.resolved == 600


def _dsn(setup: SinkSetup) -> str:
    return setup.store_url.replace("postgresql+psycopg://", "postgresql://")
