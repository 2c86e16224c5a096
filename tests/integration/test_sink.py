"""The sink against a real Kafka: PostgreSQL where it says so, else SQLite."""

import random
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import orjson
import pytest
from kafka import KafkaConsumer, TopicPartition

from schemas.events import Event, ReplayRequest, Resolution, SyncFailed, SyncResolved, event_key
from sink.states import State
from sink.store import tables
from sink.store.quarantine import read_quarantine
from tests.command import INSTEP, run_instep
from tests.conftest import CreateTopic
from tests.integration.sink_running import (
    PATIENCE_S,
    RunningSink,
    SinkSetup,
    eventually,
    producing,
    running,
    send,
)
from tests.services.kafka import Kafka
from tests.services.postgres import PostgresServer
from tests.sink_events import CODEC, failed, progress, resolved


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


def cli(sink: RunningSink, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the group `errors` with the sink's configuration."""
    return run_instep("errors", *words, "-c", sink.file, folder=sink.file.parent, timeout_s=PATIENCE_S)


def by_state(setup: SinkSetup) -> Counter[str]:
    return Counter(str(entry.state) for entry in setup.entries())


def has_more(setup: SinkSetup, before: int) -> bool:
    return setup.counted() > before


def test_failures_become_entries_and_close_when_resolved(setup: SinkSetup) -> None:
    send(setup.bootstrap, setup.topic, [failed("C001", 1), failed("C002", 2), failed("C001", 3)])
    with running(setup) as sink:
        eventually(lambda: by_state(setup) == {"open": 2})
        send(setup.bootstrap, setup.topic, [resolved(failed("C001", 3)), progress()])
        eventually(lambda: by_state(setup) == {"open": 1, "resolved": 1})
        assert {entry.record_id: entry.count for entry in setup.entries()} == {"C001": 2, "C002": 1}
        assert sink.stop() == 0


def test_metrics_and_health_are_served_on_one_port(setup: SinkSetup) -> None:
    send(setup.bootstrap, setup.topic, [failed("C001", 1), progress()])
    with running(setup) as sink:
        eventually(lambda: sink.metric('instep_sink_events_total{result="new",type="failed"}') == 1)
        eventually(
            lambda: sink.metric('instep_entries{category="data",mapping="customers",state="open"}') == 1
        )
        assert sink.get("/livez")[0] == sink.get("/readyz")[0] == 200
        assert sink.metric('instep_worker_last_seen_timestamp_seconds{mapping="customers"}') > 1.7e9
        assert sink.metric('instep_replays_total{result="unconfirmed"}') == 0


def test_mapping_that_the_configuration_does_not_know_is_counted_as_other(setup: SinkSetup) -> None:
    send(
        setup.bootstrap,
        setup.topic,
        [failed("C001", n, mapping=f"m{n}", category=f"c{n}") for n in range(300)],
    )
    with running(setup) as sink:
        eventually(
            lambda: sink.metric('instep_entries{category="other",mapping="other",state="open"}') == 300
        )
        lines = [line for line in sink.get("/metrics")[1].splitlines() if not line.startswith("#")]
        assert len(lines) < 1000


def test_killed_sinks_lose_nothing_and_double_nothing(on_postgres: SinkSetup) -> None:
    rng = random.Random(7)
    expected: Counter[str] = Counter()
    still_open: dict[str, SyncFailed] = {}
    for portion in range(4):
        events: list[Event] = []
        for offset in range(portion * 3000, portion * 3000 + 3000):
            name = f"C{rng.randrange(500):03}"
            if name in still_open and rng.random() < 0.2:
                events.append(resolved(still_open.pop(name), offset=offset))
            else:
                still_open[name] = failed(name, offset)
                events.append(still_open[name])
                expected[name] += 1
        before = on_postgres.counted()
        send(on_postgres.bootstrap, on_postgres.topic, events)
        with running(on_postgres) as sink:
            eventually(partial(has_more, on_postgres, before), every_s=0.01)
            sink.kill()
    with running(on_postgres):
        eventually(lambda: on_postgres.counted() >= expected.total())
        eventually(lambda: by_state(on_postgres)["open"] == len(still_open))
    entries = on_postgres.entries()
    assert {entry.record_id: entry.count for entry in entries} == expected
    assert {entry.record_id for entry in entries if entry.state is State.OPEN} == still_open.keys()


def test_two_sinks_share_the_topic_and_one_takes_over(on_postgres: SinkSetup) -> None:
    events = [failed(f"C{n:04}", n) for n in range(3000)]
    with running(on_postgres) as first:
        send(on_postgres.bootstrap, on_postgres.topic, events[:1000])
        with running(on_postgres):
            send(on_postgres.bootstrap, on_postgres.topic, events[1000:2000])
            first.stop()
            send(on_postgres.bootstrap, on_postgres.topic, events[2000:])
            eventually(lambda: len(on_postgres.entries()) == 3000)
    assert {entry.count for entry in on_postgres.entries()} == {1}


def test_group_whose_offsets_are_lost_goes_on_from_the_store(setup: SinkSetup) -> None:
    send(setup.bootstrap, setup.topic, [failed(f"C{n}", n) for n in range(50)])
    with running(setup) as sink:
        eventually(lambda: len(setup.entries()) == 50)
        sink.stop()
    other_group = replace(setup, settings={"group": f"{setup.group}.another"})
    with running(other_group) as sink:
        send(setup.bootstrap, setup.topic, [failed("last", 99)])
        eventually(lambda: len(setup.entries()) == 51)
        eventually(lambda: sink.metric('instep_sink_events_total{result="new",type="failed"}') == 1)
        assert sink.metric('instep_sink_events_total{result="stale",type="failed"}') == 0


def test_rereading_the_topic_changes_nothing(setup: SinkSetup) -> None:
    events = [failed(f"C{n % 9}", n) for n in range(90)]
    send(setup.bootstrap, setup.topic, [*events, resolved(events[-1])])
    with running(setup) as sink:
        eventually(lambda: setup.counted() == 90 and by_state(setup)["resolved"] == 1)
        sink.stop()
    before = setup.entries()
    store = setup.store()
    with store.writing() as connection:
        connection.execute(tables.ingest_position.update().values(position=0))
    store.close()
    with running(setup) as sink:
        eventually(lambda: sink.metric('instep_sink_events_total{result="stale",type="failed"}') == 90)
        sink.stop()
    assert setup.entries() == before


def test_quarantined_event_is_imported_when_it_can_be_read(setup: SinkSetup) -> None:
    with producing(setup.bootstrap) as producer:
        unreadable = b"\xc3\x01" + b"8bytes.." + b"later"
        producer.send(setup.topic, unreadable, key=event_key(failed("C001", 1)))
        producer.flush(10)
    send(setup.bootstrap, setup.topic, [failed("C002", 2)])
    with running(setup) as sink:
        eventually(lambda: len(setup.entries()) == 1)
        eventually(lambda: "not known here" in cli(sink, "quarantine").stdout)
        assert cli(sink, "reimport").returncode == 1
        sink.stop()
    store = setup.store()
    with store.writing() as connection:
        (kept,) = read_quarantine(connection, limit=10)
        assert kept.value == unreadable
        # what a newer program finds: it knows the schema
        connection.execute(tables.quarantine.update().values(value=CODEC.encode(failed("C001", 1))))
    store.close()
    with running(setup):
        eventually(lambda: len(setup.entries()) == 2)


def test_database_gone_and_back_loses_nothing(own_postgres: PostgresServer, setup: SinkSetup) -> None:
    url = own_postgres.postgres.url(own_postgres.postgres.create_database())
    away = replace(setup, store_url=url)
    with running(away) as sink:
        send(away.bootstrap, away.topic, [failed(f"C{n}", n) for n in range(100)])
        eventually(lambda: len(away.entries()) == 100)
        own_postgres.kill()
        send(away.bootstrap, away.topic, [failed(f"C{n}", n) for n in range(100, 200)])
        eventually(lambda: sink.get("/readyz")[0] == 503)
        assert sink.get("/livez")[0] == 200
        own_postgres.start()
        eventually(lambda: len(away.entries()) == 200)
        eventually(sink.is_ready)
        assert {entry.count for entry in away.entries()} == {1}
        assert sink.stop() == 0


class WorkerDouble:
    """Answers replays as a script says; speaks the real topics."""

    def __init__(self, setup: SinkSetup) -> None:
        self._setup = setup
        self._consumer = KafkaConsumer(bootstrap_servers=setup.bootstrap, auto_offset_reset="earliest")
        self._consumer.assign([TopicPartition(setup.replay_topic, 0)])
        self._consumer.seek_to_beginning()
        self.seen: list[object] = []

    def next_request(self) -> ReplayRequest:
        """Wait for a request."""
        while not (polled := self._consumer.poll(500, max_records=1)):
            pass
        (message,) = next(iter(polled.values()))
        request = CODEC.decode(message.value)
        assert isinstance(request, ReplayRequest)
        self.seen.append(request)
        return request

    def answer(self, *events: SyncFailed | SyncResolved) -> None:
        """Tell the sink what became of it."""
        send(self._setup.bootstrap, self._setup.topic, events)

    def close(self) -> None:
        self._consumer.close()


@pytest.fixture
def worker(setup: SinkSetup) -> Iterator[WorkerDouble]:
    double = WorkerDouble(setup)
    yield double
    double.close()


def test_waiting_entry_is_retried_on_schedule_until_it_is_released(
    setup: SinkSetup, worker: WorkerDouble
) -> None:
    to = setup.replay_topic
    first = failed("C001", 1, retry_s=0, replay_topic=to)
    send(setup.bootstrap, setup.topic, [first])
    with running(setup):
        asked = worker.next_request()
        assert (asked.failure_id, asked.scheduled, asked.original) == (first.failure_id, True, first.original)
        second = failed("C001", 1, 2, retry_s=0, replay_id=asked.replay_id, replay_topic=to)
        worker.answer(second)
        again = worker.next_request()
        assert again.failure_id == second.failure_id
        worker.answer(resolved(second, Resolution.RELEASED, replay_id=again.replay_id))
        eventually(lambda: [entry.resolved_by for entry in setup.entries()] == ["released"])


def test_replay_from_the_command_line_ends_with_the_workers_answer(
    setup: SinkSetup, worker: WorkerDouble
) -> None:
    event = failed("C001", 1, replay_topic=setup.replay_topic)
    send(setup.bootstrap, setup.topic, [event])
    with running(setup) as sink:
        (entry,) = eventually(setup.entries)
        command = [INSTEP, "errors", "replay", entry.id[:6], "--wait", "-c", str(sink.file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asking:
            asked = worker.next_request()
            worker.answer(resolved(event, Resolution.REPLAY, replay_id=asked.replay_id))
            output, errors = asking.communicate(timeout=PATIENCE_S)
        assert (asking.returncode, errors) == (0, "")
        assert output == "1 entry resolved.\n"


def test_replay_that_fails_again_says_so_and_ends_with_one(setup: SinkSetup, worker: WorkerDouble) -> None:
    event = failed("C001", 1, replay_topic=setup.replay_topic)
    send(setup.bootstrap, setup.topic, [event])
    with running(setup) as sink:
        (entry,) = eventually(setup.entries)
        command = [INSTEP, "errors", "replay", entry.id, "--wait", "--json", "-c", str(sink.file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as asking:
            asked = worker.next_request()
            worker.answer(failed("C001", 1, 2, replay_id=asked.replay_id, replay_topic=setup.replay_topic))
            output, _ = asking.communicate(timeout=PATIENCE_S)
        assert asking.returncode == 1
        assert orjson.loads(output) == {
            "id": entry.id,
            "replay_id": asked.replay_id,
            "verdict": "failed_again",
            "code": "too_long",
        }


def test_replay_without_an_answer_becomes_unconfirmed(setup: SinkSetup) -> None:
    hasty = replace(setup, settings={"replay_timeout_s": 1})
    send(setup.bootstrap, setup.topic, [failed("C001", 1, replay_topic=setup.replay_topic)])
    with running(hasty) as sink:
        (entry,) = eventually(setup.entries)
        assert cli(sink, "replay", entry.id).returncode == 0
        eventually(lambda: setup.entries()[0].state is State.UNCONFIRMED)
        eventually(lambda: sink.metric('instep_replays_total{result="unconfirmed"}') == 1)


def test_replaying_at_once_from_many_places_sends_once(setup: SinkSetup, worker: WorkerDouble) -> None:
    event = failed("C001", 1, replay_topic=setup.replay_topic)
    send(setup.bootstrap, setup.topic, [event])
    with running(setup) as sink, running(setup):
        (entry,) = eventually(setup.entries)
        command = [INSTEP, "errors", "replay", entry.id, "-c", str(sink.file)]
        asking = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(3)]
        assert sorted(each.wait(PATIENCE_S) for each in asking) == [0, 1, 1]
        asked = worker.next_request()
        worker.answer(resolved(event, Resolution.REPLAY, replay_id=asked.replay_id))
        eventually(lambda: by_state(setup) == {"resolved": 1})
    worker.close()
    assert len(worker.seen) == 1


def test_port_that_is_taken_ends_with_two(setup: SinkSetup) -> None:
    with running(setup) as sink:
        second = run_instep("sink", "-c", sink.file, folder=sink.file.parent, timeout_s=30)
    assert second.returncode == 2
    assert "sink.listen" in second.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_with_zero(setup: SinkSetup, number: signal.Signals) -> None:
    with running(setup) as sink:
        sink.process.send_signal(number)
        assert sink.process.wait(10) == 0


def test_signal_while_kafka_is_away_ends_with_zero(tmp_path: Path) -> None:
    nowhere = SinkSetup(tmp_path, "127.0.0.1:9", "errors", "g.replay", f"sqlite:///{tmp_path}/sink.db", {})
    sink = RunningSink(nowhere)
    eventually(lambda: sink.get("/livez")[0] == 200)
    eventually(lambda: "kafka" in sink.get("/readyz")[1])
    assert sink.stop() == 0
