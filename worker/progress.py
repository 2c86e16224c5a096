"""What a worker has done since it started, told on the error topic every few seconds: the heartbeat of the whole path."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from schemas.events import Outcome


class Tally:
    """Outcome counters by mapping; added to by the lanes, read by the heartbeat."""

    def __init__(self, mappings: Sequence[str], started_at: datetime) -> None:
        self.started_at = started_at
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
