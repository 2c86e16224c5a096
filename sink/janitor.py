"""Ageing out what is over, in batches small enough that ingest is not held up. What is still relevant stays for ever."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from sqlalchemy import Connection

from schemas.config.process import RetentionConfig
from sink.store import retention
from sink.store.groups import purge_groups
from sink.store.jobs import purge_jobs
from sink.store.store import Store

QUARANTINE_KEPT = timedelta(days=90)
REPLAYS_KEPT = timedelta(days=90)
PROGRESS_KEPT = timedelta(days=7)
# counted from the end of a session
SESSIONS_KEPT = timedelta(days=30)
# two days are looked at
RATES_KEPT = timedelta(days=8)
SLOTS_KEPT = timedelta(days=2)
GROUPS_KEPT = timedelta(days=90)
JOBS_KEPT = timedelta(days=90)
_BREATH_S = 0.05


@dataclass(frozen=True, slots=True)
class Janitor:
    """Who removes; `clock_us` tells the time in microseconds since 1970, `stop` ends a run early, `beat` tells that it goes on."""

    store: Store
    config: RetentionConfig
    clock_us: Callable[[], int]
    stop: threading.Event
    beat: Callable[[], None] = lambda: None

    def run(self) -> Counter[str]:
        """Remove all that is due; returns how many of what. Raises what StoreAway lists when the store is away."""
        now_us = self.clock_us()
        rows = self.config.batch_rows
        closed_us = _before(now_us, self.config.closed)
        payload_us = _before(now_us, self.config.payload)
        jobs: dict[str, Callable[[Connection], int]] = {
            "entries": lambda c: retention.purge_closed(c, closed_us, now_us, rows),
            "messages": lambda c: retention.strip_payloads(c, payload_us, now_us, rows),
        }
        kept = {
            "quarantine": QUARANTINE_KEPT,
            "audit": self.config.audit,
            "replays": REPLAYS_KEPT,
            "progress": PROGRESS_KEPT,
            "sessions": SESSIONS_KEPT,
            "rates": RATES_KEPT,
            "group_rates": SLOTS_KEPT,
            "progress_slots": SLOTS_KEPT,
        }
        for what, age in kept.items():
            jobs[what] = _older(what, _before(now_us, age), rows)
        jobs["groups"] = partial(purge_groups, before_us=_before(now_us, GROUPS_KEPT), limit=rows)
        jobs["jobs"] = partial(purge_jobs, before_us=_before(now_us, JOBS_KEPT), limit=rows)
        return Counter({what: self._drain(job, rows) for what, job in jobs.items()})

    def sweep(self) -> Counter[str]:
        """Remove messages that no entry has any more; looks at all messages, so not to be done often."""
        now_us, rows = self.clock_us(), self.config.batch_rows
        removed = 0
        last: str | None = ""
        while last is not None and not self.stop.is_set():
            self.beat()
            with self.store.reading() as connection:
                looked = retention.look_for_unused(connection, last, rows)
            last = looked.last
            if looked.unused:
                with self.store.writing() as connection:
                    removed += retention.purge_payloads(connection, looked.unused, now_us)
                self.stop.wait(_BREATH_S)
        return Counter(unused_messages=removed)

    def _drain(self, job: Callable[[Connection], int], rows: int) -> int:
        total = 0
        while not self.stop.is_set():
            self.beat()
            with self.store.writing() as connection:
                removed = job(connection)
            total += removed
            if removed < rows:
                break
            self.stop.wait(_BREATH_S)
        return total


def _older(what: str, before_us: int, rows: int) -> Callable[[Connection], int]:
    return lambda connection: retention.purge_older(connection, what, before_us, rows)


def _before(now_us: int, age: timedelta) -> int:
    return now_us - age // timedelta(microseconds=1)
