"""What a worker has done since it started, told on the error topic every few seconds: the heartbeat of the whole path."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from schemas.events import Outcome, SyncProgress


class Tally:
    """Outcome counters by mapping; added to by the lanes, read by the heartbeat."""

    def __init__(self, mappings: Sequence[str]) -> None:
        self._lock = threading.Lock()
        self._counts = {name: Counter(dict.fromkeys(Outcome, 0)) for name in mappings}

    def add(self, mapping: str, counts: Mapping[Outcome, int]) -> None:
        """Count outcomes of a mapping."""
        with self._lock:
            self._counts[mapping].update(counts)

    def of(self, mapping: str) -> dict[str, int]:
        """Return the counts of a mapping, by outcome."""
        with self._lock:
            return {outcome.value: count for outcome, count in self._counts[mapping].items()}


def progress_events(
    mappings: Mapping[str, str],
    tally: Tally,
    *,
    worker: str,
    group: str,
    started_at: datetime,
    now: datetime,
    lag_records: Callable[[str], int | None],
    paused_code: Callable[[str], str | None],
) -> list[SyncProgress]:
    """Return one event a mapping; `mappings` gives the direction by name."""
    return [
        SyncProgress(
            worker=worker,
            group=group,
            mapping=name,
            direction=direction,
            at=now,
            started_at=started_at,
            counts=tally.of(name),
            lag_records=lag_records(name),
            paused_code=paused_code(name),
        )
        for name, direction in mappings.items()
    ]


class Heartbeat:
    """Calls `beat` every few seconds in a thread of its own, so that silence always means something."""

    def __init__(self, beat: Callable[[], None], period_s: float) -> None:
        self._beat = beat
        self._period_s = period_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="instep-heartbeat", daemon=True)

    def start(self) -> None:
        """Beat at once and from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Beat a last time and stop."""
        self._stopped.set()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        while True:
            self._beat()
            if self._stopped.wait(self._period_s):
                self._beat()
                return
