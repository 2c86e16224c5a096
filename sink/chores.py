"""What the sink does beside reading the error topic, each at its own pace, all in one thread."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from sink.health import Pulse
from sink.store.store import StoreAway

LOOP = "chores"


@dataclass(frozen=True, slots=True)
class Chore:
    """A piece of work, and after how many seconds it is done again."""

    name: str
    every_s: float
    work: Callable[[], object]


def run_chores(chores: Sequence[Chore], pulse: Pulse, stop: threading.Event) -> None:
    """Do each piece of work at its pace until `stop`; while the store is away, try again later."""
    log = structlog.get_logger()
    due = {chore.name: 0.0 for chore in chores}
    while not stop.is_set():
        for chore in chores:
            pulse.beat(LOOP)
            if time.monotonic() < due[chore.name] or stop.is_set():
                continue
            try:
                chore.work()
            except StoreAway:
                log.warning("the store is away; later", chore=chore.name)
            due[chore.name] = time.monotonic() + chore.every_s
        stop.wait(max(0.05, min(due.values()) - time.monotonic()))
