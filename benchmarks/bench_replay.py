"""A replay job as fast as it goes, against the same worker applying the same records for the first time."""

import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import yaml
from sqlalchemy import create_engine

from benchmarks.changes import LONGEST_NAME
from benchmarks.ground import Ground, machine
from benchmarks.sides import SideFailedError, take_turn
from benchmarks.targets import TABLE, Database, Target
from benchmarks.topics import Format, Topic
from benchmarks.turns import append_lines
from benchmarks.workers import INSTEP, configuration, create_topics, workers
from tests.services.process import free_port

WANTED = 0.5
_LOOK_S = 0.05
_PATIENCE_S = 1200.0


def run(ground: Ground) -> None:
    """Measure with as many entries as `--changes` has records."""
    topic = ground.topic(Format.AVRO)
    records = len(ground.expected(topic))
    target = ground.target(Database.POSTGRES)
    normal, replayed, peaks_mb = [], [], []
    for number in range(ground.turns):
        turn = take_turn(workers(ground), topic, target, ground.expected(topic), ground.new_folder() / "run")
        normal.append(turn.rate)
        rate, peak_mb = _replay(ground, topic, target, records)
        replayed.append(rate)
        peaks_mb.append(peak_mb)
        print(
            f"  round {number + 1}: worker {turn.rate:,.0f}/s, replay job {rate:,.0f}/s, sink {peak_mb:.0f} MB",
            flush=True,
        )
    found = statistics.median(job / worker for job, worker in zip(replayed, normal, strict=True))
    lines = [
        "## Replay job",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine()}. Rounds: {ground.turns}. {records:,} entries of {topic.changes:,} changes, avro; target and store in PostgreSQL; no limit of the rate.",
        "",
        "| side | records/s | sink's peak MB |",
        "| --- | ---: | ---: |",
        f"| worker, changes applied | {statistics.median(normal):,.0f} | |",
        f"| replay job, entries resolved | {statistics.median(replayed):,.0f} | {max(peaks_mb):.0f} |",
        "",
        f"- {'reached' if found >= WANTED else 'MISSED'}: rate of the replay job to the worker = {found:.2f} (wanted: at least {WANTED:g})",
        "",
    ]
    append_lines(lines, ground.results)


def _replay(ground: Ground, topic: Topic, target: Target, records: int) -> tuple[float, float]:
    """Have every record fail for its name, widen the column, replay all; returns entries a second and the sink's peak memory."""
    target.empty()
    _set_name_length(target, 1)
    folder = ground.new_folder()
    store = ground.new_postgres_url()
    content = configuration(ground, topic, target, f"replay-{time.time_ns()}", ground.new_postgres_url())
    content["sink"] = {"store": {"url": store}, "listen": f"127.0.0.1:{free_port()}", "replay_timeout_s": 900}
    file = folder / "instep.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    create_topics(file)
    with _running("sink", file) as sink, _running("worker", file):
        _until_open(store, records)
        _set_name_length(target, LONGEST_NAME)
        words = ["errors", "replay", "--mapping", "customers", "--rate", "0", "--canaries", "0", "--yes"]
        began_us = time.time_ns() // 1000
        subprocess.run([INSTEP, *words, "-c", str(file)], check=True, capture_output=True)
        seconds = (_last_verdict_us(store, records) - began_us) / 1e6
        peak_mb = _peak_mb(sink)
    return records / seconds, peak_mb


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


def _until_open(store: str, entries: int) -> None:
    """Wait until so many entries are open."""
    engine = create_engine(store, isolation_level="AUTOCOMMIT")
    deadline = time.monotonic() + _PATIENCE_S
    pause = threading.Event()
    with engine.connect() as connection:
        query = "SELECT count(*) FROM instep_entry WHERE state = 'open'"
        while not connection.exec_driver_sql("SELECT to_regclass('instep_entry')").scalar():
            pause.wait(_LOOK_S)
        while connection.exec_driver_sql(query).scalar() != entries:
            if time.monotonic() > deadline:
                raise SideFailedError("the entries did not become open in time")
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
