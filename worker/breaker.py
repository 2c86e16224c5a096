"""When too much of the work fails of itself, the app counts as broken although no single answer said so. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

WINDOW_S = 60.0
MIN_VOLUME = 100
MAX_RATIO = 0.5
FIRST_PROBE_S = 1.0
MAX_PROBE_S = 30.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """What happened in the last minute: (seconds, changes, how many of them failed of themselves), oldest first."""

    seen: Sequence[tuple[float, int, int]] = ()

    def record(self, now_s: float, changes: int, self_healing: int) -> "Breaker":
        """Return the breaker after another batch."""
        recent = [each for each in self.seen if each[0] > now_s - WINDOW_S]
        return Breaker([*recent, (now_s, changes, self_healing)])

    @property
    def is_open(self) -> bool:
        """Whether at least half of at least a hundred changes in the window failed of themselves."""
        volume = sum(changes for _, changes, _ in self.seen)
        failed = sum(failed for _, _, failed in self.seen)
        return volume >= MIN_VOLUME and failed >= MAX_RATIO * volume


def probe_delay_s(attempt: int, jitter: float) -> float:
    """Return how long to wait before an app's next probe: doubling from one second up to thirty, less up to a quarter."""
    return min(FIRST_PROBE_S * 2.0 ** min(attempt - 1, 10), MAX_PROBE_S) * (1 - jitter / 4)
