"""Twenty people at once on a sink with five million entries (PostgreSQL), and on one with 200,000 (SQLite).

Each person asks for a page or a list about once a second; what is timed is a whole answer, as the asking side sees it.
"""

import http.client
import random
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import httpx2
from sqlalchemy import create_engine

from benchmarks.ground import Ground, machine
from benchmarks.many_entries import fill_store
from benchmarks.sinks import configuration
from benchmarks.turns import append_lines
from benchmarks.workers import INSTEP
from sink.store.statistics import read_statistics
from sink.store.store import open_store
from tests.services.process import free_port

PEOPLE = 20
SECONDS = 60.0
# the first answers after a start, not counted: templates are compiled, connections opened
WARM_S = 10.0
EACH_S = 1.0
_CALLS: Mapping[str, str] = {
    "Overview": "/",
    "Record errors": "/records",
    "Record errors, filtered": "/records?mapping=mapping+3&code=too_long",
    "Setup errors": "/setup",
    "Groups": "/groups",
    "Group": "/groups/group1007",
    "Entry": "/entries/{entry}",
    "Replays": "/replays",
    "Sync status": "/status",
    "list": "/api/v1/entries?limit=50",
    "list of a group": "/api/v1/entries?limit=50&group=group1007",
    "list, closed ones": "/api/v1/entries?limit=50&state=resolved&mapping=mapping+3",
    "list of a record": "/api/v1/entries?record=R4242",
    "groups": "/api/v1/groups",
    "status": "/api/v1/status",
}


def run(ground: Ground) -> None:
    """Measure both; the sizes follow `--changes`: 25 entries for each of them in PostgreSQL, one in SQLite."""
    _measure(ground, ground.new_postgres_url(), ground.changes * 25, wanted_ms=50)
    _measure(ground, f"sqlite:///{ground.new_folder()}/sink.db", ground.changes, wanted_ms=100)


def _measure(ground: Ground, url: str, entries: int, wanted_ms: float) -> None:
    database = url.split(":", maxsplit=1)[0].split("+", maxsplit=1)[0]
    print(f"filling a store: {entries:,} entries in {database}", flush=True)
    fill_store(url, entries, relevant=entries // 5, groups=200)
    port = free_port()
    file = configuration(ground, f"pages-{port}.errors", url, ground.new_folder(), port)
    subprocess.run([INSTEP, "topics", "create", "-c", str(file)], check=True, capture_output=True)
    with (file.parent / "sink.log").open("wb") as log:
        sink = subprocess.Popen([INSTEP, "sink", "-c", str(file)], stdout=log, stderr=log)
    try:
        _wait_until_ready(port, sink)
        entry_id = _some_entry(url)
        coldest_ms = max(map(max, _ask(port, entry_id, WARM_S).values()))
        times_ms = _ask(port, entry_id, SECONDS)
        refresh_s = _refresh_s(url)
    finally:
        sink.terminate()
        sink.wait(20)
    _publish(ground, database, entries, times_ms, coldest_ms, refresh_s, wanted_ms)


def _some_entry(url: str) -> str:
    engine = create_engine(url)
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT id FROM instep_entry WHERE record_id = 'R4242'").scalar()
    engine.dispose()
    return str(found)


def _wait_until_ready(port: int, sink: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if sink.poll() is not None:
            sys.exit("the sink ended by itself")
        try:
            if httpx2.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                break
        except httpx2.TransportError:
            pass
        time.sleep(0.2)
    # the first count of millions of entries is done by then
    time.sleep(10)


def _ask(port: int, entry_id: str, seconds: float) -> dict[str, list[float]]:
    times_ms: dict[str, list[float]] = defaultdict(list)
    failed: list[str] = []
    until = time.monotonic() + seconds

    def person(number: int) -> None:
        chance = random.Random(number)
        # the simplest client there is: its work is not to be measured
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while time.monotonic() < until:
            time.sleep(chance.uniform(0.5, 1.5) * EACH_S)
            name = chance.choice(list(_CALLS))
            began = time.perf_counter()
            client.request("GET", _CALLS[name].format(entry=entry_id))
            answer = client.getresponse()
            answer.read()
            times_ms[name].append((time.perf_counter() - began) * 1000)
            if answer.status != 200:
                failed.append(f"{name}: {answer.status}")
        client.close()

    people = [threading.Thread(target=person, args=(number,)) for number in range(PEOPLE)]
    for each in people:
        each.start()
    for each in people:
        each.join()
    if failed:
        sys.exit(f"calls failed: {sorted(set(failed))}")
    return times_ms


def _refresh_s(url: str) -> float:
    """Return how long a look at the numbers of the whole store takes."""
    store = open_store(url)
    with store.reading() as connection:
        began = time.perf_counter()
        read_statistics(connection, time.time_ns() // 1000)
        taken_s = time.perf_counter() - began
    store.close()
    return taken_s


def _publish(
    ground: Ground,
    database: str,
    entries: int,
    times_ms: Mapping[str, Sequence[float]],
    coldest_ms: float,
    refresh_s: float,
    wanted_ms: float,
) -> None:
    lines = [
        f"## Pages and lists, {database}",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine()}. {entries:,} entries, a fifth of them relevant, 200 groups; {PEOPLE} people, each asking about once a second for {SECONDS:.0f} s.",
        "",
        "| what | answers | median ms | p95 ms | slowest ms |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    worst = 0.0
    for name, times in times_ms.items():
        p95 = statistics.quantiles(times, n=20)[-1]
        worst = max(worst, p95)
        lines.append(
            f"| {name} | {len(times)} | {statistics.median(times):.0f} | {p95:.0f} | {max(times):.0f} |"
        )
    said = "reached" if worst < wanted_ms else "MISSED"
    lines += ["", f"- {said}: the worst p95 is {worst:.0f} ms (wanted: under {wanted_ms:.0f} ms)"]
    said = "reached" if refresh_s < 1 else "MISSED"
    lines.append(f"- {said}: the numbers of the metrics take {refresh_s:.2f} s (wanted: under 1 s)")
    lines.append(
        f"- Not counted are the first {WARM_S:.0f} s after a start, all people at once: the slowest answer took {coldest_ms:.0f} ms."
    )
    append_lines([*lines, ""], ground.results)
