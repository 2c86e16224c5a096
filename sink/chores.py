"""What the sink does beside reading the error topic, each piece of work at its own pace."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import DBAPIError

from plumbing.database import refuses_values, unreachable_reason
from sink.health import Pulse

# work that takes long is done less often: it may have a tenth of the time
REST = 10
_LONGEST_WAIT_S = 60.0
# what failed is tried again after so long, however seldom it is done
_AGAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Chore:
    """A piece of work, and after how many seconds it is done again; it rests `rest` times as long as it took."""

    name: str
    every_s: float
    work: Callable[[], object]
    rest: float = REST


def run_chores(loop: str, chores: Sequence[Chore], pulse: Pulse, stop: threading.Event) -> None:
    """Do each piece of work at its pace until `stop`; what the store does not do is tried again later. `loop` names the thread."""
    log = structlog.get_logger()
    due = {chore.name: 0.0 for chore in chores}
    while not stop.is_set():
        for chore in chores:
            pulse.beat(loop)
            began = time.monotonic()
            if began < due[chore.name] or stop.is_set():
                continue
            every_s = chore.every_s
            try:
                chore.work()
            except DBAPIError as error:
                # one that is refused keeps neither the others nor ingest from their work
                said = "the store refuses it; later" if refuses_values(error) else "the store is away; later"
                log.warning(said, chore=chore.name, reason=unreachable_reason(error))
                every_s = min(every_s, _AGAIN_S)
            ended = time.monotonic()
            due[chore.name] = ended + max(every_s, chore.rest * (ended - began))
        stop.wait(max(0.05, min(_LONGEST_WAIT_S, min(due.values()) - time.monotonic())))
