"""Dead letter topics of other programs, read and replayed by a sink on a real Kafka."""

import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import orjson
import pytest
from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import update

from sink.states import State
from sink.store import tables
from sink.store.entries import Entry
from tests.command import run_instep
from tests.conftest import CreateTopic
from tests.dead_letters import OWN, Header, connect, karafka, spring, spring_retry_topic
from tests.integration.sink_running import (
    PATIENCE_S,
    RunningSink,
    SinkSetup,
    eventually,
    producing,
    running,
)
from tests.services.kafka import Kafka

VALUE = b'\x00\xff{"name": "Alice"}'


@pytest.fixture(params=["sqlite", "postgresql"])
def setup(request: pytest.FixtureRequest, kafka: Kafka, topic: CreateTopic, tmp_path: Path) -> SinkSetup:
    url = f"sqlite:///{tmp_path}/sink.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("pg_database")
    replay_topic = topic("erp-crm") + ".replay"
    kafka.create_topic(replay_topic)
    return SinkSetup(tmp_path, kafka.bootstrap, topic("errors"), replay_topic, url, {})


@pytest.fixture
def letters(setup: SinkSetup, topic: CreateTopic) -> tuple[SinkSetup, str]:
    """A setup that reads one dead letter topic, and that topic."""
    name = topic("dlq", partitions=2)
    return replace(setup, settings={"foreign": [{"topic": name, "mapping": "letters"}]}), name


def write(
    bootstrap: str,
    topic: str,
    messages: Sequence[tuple[bytes | None, Sequence[Header]]],
    value: bytes | None = VALUE,
) -> None:
    with producing(bootstrap) as producer:
        for key, headers in messages:
            producer.send(topic, value, key=key, headers=[(name, text or b"") for name, text in headers])
        producer.flush(30)


def read_all(bootstrap: str, topic: str) -> list[tuple[bytes | None, bytes | None, list[Header]]]:
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    consumer.seek_to_beginning(*partitions)
    found = []
    while any(consumer.position(partition) < end for partition, end in ends.items()):
        for messages in consumer.poll(500).values():
            found += [(each.key, each.value, list(each.headers)) for each in messages]
    consumer.close()
    return found


def cli(sink: RunningSink, *words: str) -> subprocess.CompletedProcess[str]:
    return run_instep("errors", *words, "-c", sink.file, folder=sink.file.parent, timeout_s=PATIENCE_S)


def states(setup: SinkSetup) -> Counter[State]:
    return Counter(entry.state for entry in setup.entries())


def only(setup: SinkSetup) -> Entry:
    (entry,) = setup.entries()
    return entry


def is_open_again(setup: SinkSetup, count: int) -> Callable[[], bool]:
    return lambda: [(e.state, e.count) for e in setup.entries()] == [(State.OPEN, count)]


def test_letters_of_each_program_become_entries(setup: SinkSetup, topic: CreateTopic) -> None:
    programs = {"connect": connect(), "spring": spring(), "karafka": karafka(), "plain": ()}
    topics = {program: topic(program) for program in programs}
    foreign = [{"topic": name, "mapping": f"{program}-letters"} for program, name in topics.items()]
    for program, headers in programs.items():
        write(setup.bootstrap, topics[program], [(b"4711", (*OWN, *headers))])
    write(setup.bootstrap, topics["spring"], [(b"4712", (*OWN, *spring_retry_topic()))])
    write(setup.bootstrap, topics["karafka"], [(b"2", (*OWN, *karafka("original")))])
    with running(replace(setup, settings={"foreign": foreign})) as sink:
        eventually(lambda: len(setup.entries()) == 5)
        found = {(e.mapping, e.direction, e.record_id, e.origin): e.count for e in setup.entries()}
        assert found == {
            ("connect-letters", "orders", "4711", "connect"): 1,
            ("spring-letters", "orders", "4711", "spring"): 1,
            ("spring-letters", "orders", "4712", "spring"): 1,
            ("karafka-letters", "orders", "4711", "karafka"): 2,
            ("plain-letters", topics["plain"], "4711", "plain"): 1,
        }
        eventually(lambda: sink.metric('instep_sink_events_total{result="new",type="letter"}') == 5)
        assert sink.metric('instep_sink_events_total{result="repeat",type="letter"}') == 1
        assert sink.metric('instep_sink_events_total{result="new",type="failed"}') == 0
        assert sink.metric("instep_foreign_lag_records") == 0
        series = 'instep_entries{category="foreign",mapping="plain-letters",state="open"}'
        eventually(lambda: sink.metric(series) == 1)
        assert sink.metric('instep_worker_last_seen_timestamp_seconds{mapping="plain-letters"}') == -1
        shown = cli(sink, "show", next(e.id for e in setup.entries() if e.origin == "connect"))
        assert "Kafka Connect" in shown.stdout
        assert "Alice" not in shown.stdout
        listed = cli(sink, "list", "--category", "foreign", "--json")
        assert len(listed.stdout.splitlines()) == 5
        assert sink.stop() == 0


def test_reading_from_the_start_once_more_changes_nothing(letters: tuple[SinkSetup, str]) -> None:
    setup, dlq = letters
    write(setup.bootstrap, dlq, [(b"k%d" % (n % 50), connect()) for n in range(300)])
    with running(setup) as sink:
        eventually(lambda: setup.counted() == 300)
        before = setup.entries()
        assert sink.stop() == 0
    store = setup.store()
    with store.writing() as connection:
        connection.execute(update(tables.ingest_position).values(position=0))
    store.close()
    with running(setup) as sink:
        eventually(lambda: sink.metric('instep_sink_events_total{result="stale",type="letter"}') == 300)
        assert setup.entries() == before


def test_topic_that_is_missing_is_told_and_waited_for(
    setup: SinkSetup, kafka: Kafka, topic: CreateTopic
) -> None:
    there, missing = topic("there"), f"missing-{uuid4().hex}"
    foreign = [{"topic": there, "mapping": "a"}, {"topic": missing, "mapping": "b"}]
    with running(replace(setup, settings={"foreign": foreign})) as sink:
        write(setup.bootstrap, there, [(b"1", connect())])
        eventually(lambda: len(setup.entries()) == 1)
        notices = orjson.loads(sink.get("/readyz")[1])["notices"]
        assert missing in notices["foreign"]
        assert missing in sink.log.read_text()
        kafka.create_topic(missing)
        write(setup.bootstrap, missing, [(b"1", connect())])
        eventually(lambda: len(setup.entries()) == 2)
        eventually(lambda: orjson.loads(sink.get("/readyz")[1])["notices"] == {})


def test_replay_sends_the_original_message_once(letters: tuple[SinkSetup, str], topic: CreateTopic) -> None:
    setup, dlq = letters
    orders = topic("orders", partitions=3)
    write(setup.bootstrap, dlq, [(b"\xff4711", (*OWN, *connect(topic=orders.encode())))])
    with running(setup) as sink:
        eventually(lambda: states(setup) == {State.OPEN: 1})
        cli(sink, "replay", only(setup).id)
        eventually(lambda: states(setup) == {State.UNCONFIRMED: 1})
        ((key, value, headers),) = read_all(setup.bootstrap, orders)
        assert (key, value, headers[:-1]) == (b"\xff4711", VALUE, list(OWN))
        name, replay_id = headers[-1]
        assert name == "instep-replay"
        # it fails there once more: the program keeps the headers and adds its own
        assert replay_id is not None
        write(setup.bootstrap, dlq, [(key, (*headers, *connect(topic=orders.encode())))])
        eventually(is_open_again(setup, 2))
        assert only(setup).failed_replays == 1
        cli(sink, "replay", only(setup).id)
        eventually(lambda: states(setup) == {State.UNCONFIRMED: 1})
        assert [len(headers) for _, _, headers in read_all(setup.bootstrap, orders)] == [3, 3]
        assert cli(sink, "resolve", only(setup).id, "--yes").returncode == 0
        assert (only(setup).state, only(setup).resolved_by) == (State.RESOLVED, "hand")


def test_killed_sinks_send_no_letter_twice(letters: tuple[SinkSetup, str], topic: CreateTopic) -> None:
    setup, dlq = letters
    setup = replace(setup, settings={**setup.settings, "replay_timeout_s": 30})
    orders = topic("orders")
    write(setup.bootstrap, dlq, [(b"%d" % n, connect(topic=orders.encode())) for n in range(400)])
    with running(setup) as sink:
        eventually(lambda: states(setup) == {State.OPEN: 400})
        asked = cli(sink, "replay", "--mapping", "letters")
        assert asked.returncode == 0, asked.stderr
        eventually(lambda: len(read_all(setup.bootstrap, orders)) > 0)
        sink.kill()
    with running(setup):
        eventually(lambda: len(read_all(setup.bootstrap, orders)) >= 300)
        # whose claim is old is taken for gone
        store = setup.store()
        with store.writing() as connection:
            old = update(tables.replay).where(tables.replay.c.sent_us.is_(None))
            connection.execute(old.values(claimed_us=tables.replay.c.claimed_us - 10**9))
        store.close()
        eventually(lambda: states(setup) == {State.UNCONFIRMED: 400})
    sent = Counter(key for key, _, _ in read_all(setup.bootstrap, orders))
    assert set(sent.values()) == {1}


@pytest.mark.parametrize("target", ["missing", "__consumer_offsets", "errors", "dlq"])
def test_replay_to_a_topic_that_takes_none_is_not_sent(letters: tuple[SinkSetup, str], target: str) -> None:
    setup, dlq = letters
    original = {"errors": setup.topic, "dlq": dlq, "missing": f"missing-{uuid4().hex}"}.get(target, target)
    write(setup.bootstrap, dlq, [(b"1", connect(topic=original.encode()))])
    with running(setup) as sink:
        eventually(lambda: states(setup) == {State.OPEN: 1})
        answer = cli(sink, "replay", only(setup).id, "--wait", "--json")
        assert orjson.loads(answer.stdout)["code"] == "replay_topic_missing"
        assert only(setup).state is State.OPEN
        if target == "missing":
            consumer = KafkaConsumer(bootstrap_servers=setup.bootstrap)
            assert original not in consumer.topics()
            consumer.close()


def test_replay_without_an_original_topic_is_refused_until_it_is_configured(
    letters: tuple[SinkSetup, str], topic: CreateTopic
) -> None:
    setup, dlq = letters
    orders = topic("orders")
    write(setup.bootstrap, dlq, [(b"1", OWN)])
    with running(setup) as sink:
        eventually(lambda: states(setup) == {State.OPEN: 1})
        refused = cli(sink, "replay", only(setup).id)
        assert refused.returncode == 1
        assert "set replay_to" in refused.stdout
    redirected: dict[str, object] = {"foreign": [{"topic": dlq, "mapping": "letters", "replay_to": orders}]}
    with running(replace(setup, settings=redirected)) as sink:
        eventually(lambda: cli(sink, "replay", only(setup).id).returncode == 0)
        eventually(lambda: states(setup) == {State.UNCONFIRMED: 1})
        assert [key for key, _, _ in read_all(setup.bootstrap, orders)] == [b"1"]


def test_hostile_letters_do_no_harm(letters: tuple[SinkSetup, str]) -> None:
    setup, dlq = letters
    evil = b"<script>alert(1)</script>\x1b[31m\x00\xff\xfe=cmd|'/c calc'!A1"
    hostile: list[tuple[bytes | None, Sequence[Header]]] = [
        (evil, [(name, evil) for name, _ in connect()]),
        (b"huge", [*connect()[:-1], ("__connect.errors.exception.stacktrace", b"\tat a.b(C:1)\n" * 40_000)]),
        (b"many", [(f"h{number}", b"x") for number in range(5000)]),
        (b"names", [("\x00\x1b[2J\u202e", b"x"), ("", b""), *spring(topic=b"\xff")]),
        (None, [(name, b"") for name, _ in (*spring(), *karafka())]),
        (b"", karafka()),
    ]
    write(setup.bootstrap, dlq, hostile)
    write(setup.bootstrap, dlq, [(b"last", connect())], value=None)
    with running(setup) as sink:
        eventually(lambda: len(setup.entries()) == 7)
        for words in (
            ["list"],
            ["list", "--json"],
            ["export", "--format", "csv"],
            *(["show", e.id] for e in setup.entries()),
        ):
            shown = cli(sink, *words)
            assert shown.returncode == 0, shown.stderr
            assert "\x1b" not in shown.stdout
            assert "\x00" not in shown.stdout
        assert "\x1b" not in sink.log.read_text()
        assert sink.stop() == 0
