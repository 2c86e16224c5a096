"""Replays as fast as they go, by the worker alone and by a whole job, against the same worker applying the same records for the first time."""

import statistics
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import yaml
from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import create_engine, select

from benchmarks.changes import LONGEST_NAME
from benchmarks.ground import Ground, machine
from benchmarks.sides import SideFailedError, take_turn
from benchmarks.targets import TABLE, Database, Target
from benchmarks.topics import Format, Topic
from benchmarks.turns import append_lines
from benchmarks.workers import INSTEP, configuration, create_topics, workers
from plumbing.codec import open_codec
from schemas.bundles import events_in
from schemas.codec import Codec
from schemas.config.kafka import KafkaConfig
from schemas.events import Decision, ResolvedBundle, SyncResolved
from sink.actions import Actor
from sink.job_actions import JobOrder, start_job
from sink.jobs import IN_FLIGHT_AT_MOST
from sink.store import tables
from sink.store.store import open_store
from tests.services.process import free_port

WANTED = 0.5
_LOOK_S = 0.05
_PATIENCE_S = 1200.0


@dataclass(frozen=True, slots=True)
class _Round:
    """Rates of one round, in records a second: changes applied, replays by the worker alone, and by a whole job; peaks of memory."""

    normal: float
    alone: float
    job: float
    sink_mb: float
    worker_mb: float


def run(ground: Ground) -> None:
    """Measure with as many entries as `--changes` has records."""
    topic = ground.topic(Format.AVRO)
    records = len(ground.expected(topic))
    target = ground.target(Database.POSTGRES)
    rounds = []
    for number in range(ground.turns):
        turn = take_turn(workers(ground), topic, target, ground.expected(topic), ground.new_folder() / "run")
        alone = _worker_alone(ground, topic, target, records)
        job, sink_mb, worker_mb = _whole_job(ground, topic, target, records)
        rounds.append(_Round(turn.rate, alone, job, sink_mb, worker_mb))
        print(
            f"  round {number + 1}: changes {turn.rate:,.0f}/s, replays by the worker alone {alone:,.0f}/s, "
            f"a whole job {job:,.0f}/s, sink {sink_mb:.0f} MB, worker {worker_mb:.0f} MB",
            flush=True,
        )
    append_lines(_section(rounds, records, topic), ground.results)


def _section(rounds: Sequence[_Round], records: int, topic: Topic) -> list[str]:
    alone = statistics.median(each.alone / each.normal for each in rounds)
    job = statistics.median(each.job / each.normal for each in rounds)
    return [
        "## Replay job",
        "",
        (
            f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine()}. Rounds: {len(rounds)}. {records:,} entries of {topic.changes:,} "
            "changes, avro; target, store and the replaying worker's state in PostgreSQL; no limit of the rate."
        ),
        "",
        "| what | records/s | sink's peak MB | worker's |",
        "| --- | ---: | ---: | ---: |",
        f"| worker: changes applied | {statistics.median(each.normal for each in rounds):,.0f} | | |",
        f"| worker: replays that wait in its topic | {statistics.median(each.alone for each in rounds):,.0f} | | |",
        (
            f"| replay job: sink, worker and both databases on these cores | {statistics.median(each.job for each in rounds):,.0f} "
            f"| {max(each.sink_mb for each in rounds):.0f} | {max(each.worker_mb for each in rounds):.0f} |"
        ),
        "",
        _goal("the worker's replays", alone),
        _goal("the whole job", job),
        "",
    ]


def _goal(what: str, found: float) -> str:
    reached = "reached" if found >= WANTED else "MISSED"
    return f"- {reached}: rate of {what} to the worker's changes = {found:.2f} (wanted: at least {WANTED:g})"


def _worker_alone(ground: Ground, topic: Topic, target: Target, records: int) -> float:
    """Have the sink send all requests while no worker runs; return how many replays a second the worker then does, by itself."""
    file, store = _configured(ground, topic, target)
    with _running("sink", file):
        with _running("worker", file):
            _until(store, "SELECT count(*) FROM instep_entry WHERE state = 'open'", records)
        _set_name_length(target, LONGEST_NAME)
        _start_jobs(store)
        _until(store, "SELECT count(*) FROM instep_replay WHERE claimed_us IS NOT NULL", records)
    kafka = KafkaConfig.model_validate(yaml.safe_load(file.read_text())["kafka"])
    errors = kafka.errors_topic
    consumer = KafkaConsumer(bootstrap_servers=ground.bootstrap)
    places = [TopicPartition(errors, partition) for partition in consumer.partitions_for_topic(errors) or ()]
    consumer.assign(places)
    ends = consumer.end_offsets(places)
    subprocess.run([INSTEP, "worker", "--drain", "-c", str(file)], check=True, capture_output=True)
    for place in places:
        consumer.seek(place, ends[place])
    with ExitStack() as stack:
        answered = _answered_at(consumer, consumer.end_offsets(places), open_codec(kafka, stack))
    consumer.close()
    if sum(answered.values()) != records:
        raise SideFailedError(f"{sum(answered.values())} of {records} replays were answered")
    first_ms, last_ms = min(answered), max(answered)
    return (records - answered[first_ms]) / (last_ms - first_ms) * 1000


def _answered_at(consumer: KafkaConsumer, ends: Mapping[TopicPartition, int], codec: Codec) -> Counter[int]:
    """Return how many replays were answered as resolved, by the time of the message in milliseconds."""
    answered = Counter[int]()
    while any(consumer.position(place) < end for place, end in ends.items()):
        for messages in consumer.poll(500).values():
            for message in messages:
                found = codec.decode(message.value)
                if isinstance(found, SyncResolved | ResolvedBundle):
                    answered[message.timestamp] += len(events_in(found))
    return answered


def _start_jobs(store_url: str) -> None:
    """Start jobs over all entries; so many at a time as a job sends without an answer."""
    store = open_store(store_url)
    with store.reading() as connection:
        ids = list(connection.scalars(select(tables.entry.c.id)))
    order = JobOrder(Decision.RETRY, None, None, 0, "all")
    for start in range(0, len(ids), IN_FLIGHT_AT_MOST):
        start_job(store, ids[start : start + IN_FLIGHT_AT_MOST], order, Actor("benchmark", "cli"))
    store.close()


def _whole_job(ground: Ground, topic: Topic, target: Target, records: int) -> tuple[float, float, float]:
    """Replay all by one job, sink and worker at work; returns entries a second and the peak memory of both."""
    file, store = _configured(ground, topic, target)
    with _running("sink", file) as sink, _running("worker", file) as worker:
        _until(store, "SELECT count(*) FROM instep_entry WHERE state = 'open'", records)
        _set_name_length(target, LONGEST_NAME)
        words = ["errors", "replay", "--mapping", "customers", "--rate", "0", "--canaries", "0", "--yes"]
        began_us = time.time_ns() // 1000
        subprocess.run([INSTEP, *words, "-c", str(file)], check=True, capture_output=True)
        seconds = (_last_verdict_us(store, records) - began_us) / 1e6
        return records / seconds, _peak_mb(sink), _peak_mb(worker)


def _configured(ground: Ground, topic: Topic, target: Target) -> tuple[Path, str]:
    """Return the file of a new configuration, under which every record fails for its name, and the URL of its store."""
    target.empty()
    _set_name_length(target, 1)
    folder = ground.new_folder()
    store = ground.new_postgres_url()
    content = configuration(ground, topic, target, f"replay-{time.time_ns()}", ground.new_postgres_url())
    content["sink"] = {"store": {"url": store}, "listen": f"127.0.0.1:{free_port()}", "replay_timeout_s": 900}
    file = folder / "instep.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    create_topics(file)
    return file, store


def _set_name_length(target: Target, length: int) -> None:
    with target.engine.connect() as connection:
        connection.exec_driver_sql(f"alter table {TABLE} alter column name type varchar({length})")


@contextmanager
def _running(program: str, file: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with (file.parent / f"{program}.log").open("wb") as log:
        process = subprocess.Popen([INSTEP, program, "-c", str(file)], stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def _until(store: str, query: str, wanted: int) -> None:
    """Wait until a count in the store is what is wanted."""
    engine = create_engine(store, isolation_level="AUTOCOMMIT")
    deadline = time.monotonic() + _PATIENCE_S
    pause = threading.Event()
    with engine.connect() as connection:
        while not connection.exec_driver_sql("SELECT to_regclass('instep_entry')").scalar():
            pause.wait(_LOOK_S)
        while connection.exec_driver_sql(query).scalar() != wanted:
            if time.monotonic() > deadline:
                raise SideFailedError(f"not {wanted} in time: {query}")
            pause.wait(_LOOK_S)
    engine.dispose()


def _last_verdict_us(store: str, entries: int) -> int:
    """Wait until the job has ended; return when the worker's last answer was in the store. Looking takes the store no time."""
    engine = create_engine(store, isolation_level="AUTOCOMMIT")
    deadline = time.monotonic() + _PATIENCE_S
    pause = threading.Event()
    with engine.connect() as connection:
        while not connection.exec_driver_sql("SELECT finished_us FROM instep_replay_job").scalar():
            if time.monotonic() > deadline:
                raise SideFailedError("the replay job did not end in time")
            pause.wait(_LOOK_S)
        resolved = "SELECT count(*), max(verdict_us) FROM instep_replay WHERE verdict = 'resolved'"
        count, last_us = connection.exec_driver_sql(resolved).one()
    engine.dispose()
    if count != entries:
        raise SideFailedError(f"{count} of {entries} entries were resolved")
    return int(last_us)


def _peak_mb(process: "subprocess.Popen[bytes]") -> float:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
