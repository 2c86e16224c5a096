"""Ingest while a million closed entries are aged out, against ingest into the same store with nothing to age out."""

import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import create_engine

from benchmarks.failures import fill_failures
from benchmarks.ground import Ground
from benchmarks.many_entries import fill_store
from benchmarks.sides import Watch, take_turn
from benchmarks.sinks import sink
from benchmarks.stores import DATABASE, SinkStore
from benchmarks.turns import Goal, Section, publish

_LOOK_S = 0.02
_WAITS = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - waitstart)), 0) FROM pg_locks WHERE NOT granted"
_LEFT = "SELECT count(*) FROM instep_entry WHERE ages_from_us IS NOT NULL"
_FREE = "SELECT sum(avail) FROM pg_freespace('instep_entry')"


@dataclass(slots=True)
class PreparedStore:
    """A store that begins as a copy of the database `template`; `longest_wait_s` is how long anybody waited for a lock.

    `left` closed entries were there at the end of each turn, and `free_mb` in their table after a vacuum.
    """

    store: SinkStore
    template: str
    longest_wait_s: float = 0.0
    left: list[int] = field(default_factory=list)
    free_mb: list[float] = field(default_factory=list)

    @property
    def url(self) -> str:
        """SQLAlchemy's URL."""
        return self.store.url

    def empty(self) -> None:
        """Make it anew from the template."""
        postgres = self.store.ground.services.postgres
        postgres.drop_database(DATABASE)
        postgres.execute(f"create database {DATABASE} template {self.template}")

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """Keep a connection open that asks how far a side is, and another one that looks for waits."""
        ended = threading.Event()
        looking = threading.Thread(target=self._look, args=(ended,))
        looking.start()
        try:
            with self.store.watching() as watch:
                yield watch
        finally:
            ended.set()
            looking.join()

    def compare(self, expected: Any) -> None:  # noqa: ARG002  every store is asked so
        """Note what is left and what is free; how many entries there are depends on how far the ageing out came."""
        engine = create_engine(self.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            self.left.append(int(connection.exec_driver_sql(_LEFT).scalar_one()))
            connection.exec_driver_sql("VACUUM instep_entry")
            connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_freespacemap")
            self.free_mb.append(float(connection.exec_driver_sql(_FREE).scalar_one()) / 2**20)
        engine.dispose()

    def _look(self, ended: threading.Event) -> None:
        engine = create_engine(self.url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            while not ended.wait(_LOOK_S):
                waited_s = float(connection.exec_driver_sql(_WAITS).scalar_one())
                self.longest_wait_s = max(self.longest_wait_s, waited_s)
        engine.dispose()


def run(ground: Ground) -> None:
    """Measure with five times `--changes` closed entries and `--changes` failures that come in."""
    closed = ground.changes * 5
    topic = fill_failures(ground, records=ground.changes, repeats=1)
    store = SinkStore(ground, topic.records)
    stores = {
        name: PreparedStore(store, _filled(ground, closed, aged=aged))
        for name, aged in (("nothing to age out", False), ("ageing out", True))
    }
    turns: dict[str, list[Any]] = {name: [] for name in stores}
    for _ in range(ground.turns):
        for name, prepared in stores.items():
            side = replace(sink(ground), name=name)
            turns[name].append(take_turn(side, topic, prepared, None, ground.new_folder() / "run"))
            print(f"  {name:20} {turns[name][-1].rate:9,.0f}/s", flush=True)
    aged = stores["ageing out"]
    waited_ms = aged.longest_wait_s * 1000
    remarks = [
        f"{'reached' if waited_ms < 100 else 'MISSED'}: nobody waited longer than {waited_ms:.0f} ms for a lock (wanted: under 100 ms)",
        f"At the end of a turn {statistics.median(closed - left for left in aged.left):,.0f} closed entries were gone, and after a vacuum {statistics.median(aged.free_mb):,.0f} MB of their table free for what comes next; without ageing out {statistics.median(stores['nothing to age out'].free_mb):,.0f} MB.",
    ]
    about = f"{topic.records:,} failures, each of another record, into a store with {closed:,} closed entries; PostgreSQL."
    goals = [Goal("ageing out", "nothing to age out", 0.8)]
    publish(Section("Ingest while entries are aged out", about, turns, goals, remarks), ground.results)


def _filled(ground: Ground, closed: int, *, aged: bool) -> str:
    url = ground.new_postgres_url()
    print(f"filling a store: {closed:,} closed entries", flush=True)
    fill_store(url, closed, relevant=0, groups=200, closed_days_ago=8 if aged else 0)
    return url.rsplit("/", 1)[1]
