"""Replays that nobody asks for: those due by schedule; and the end of those that got no answer."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from sink.store import replays, transitions
from sink.store.store import Store

SCHEDULE = "schedule"
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Replays:
    """What is needed to keep replays going; `clock_us` tells the time in microseconds since 1970."""

    store: Store
    timeout_s: float
    clock_us: Callable[[], int]

    def run(self) -> Counter[str]:
        """Ask for what is due, end what got no answer; returns how many of each.

        Raises what StoreAway lists when the store is away.
        """
        overdue = self._time_out()
        return Counter(due=self._ask_for_due(), unconfirmed=overdue.unconfirmed, not_sent=overdue.not_sent)

    def _ask_for_due(self) -> int:
        now_us = self.clock_us()
        request = transitions.Request(SCHEDULE, now_us, replays.new_replay_id, scheduled=True)
        with self.store.writing() as connection:
            due = replays.due_entries(connection, now_us, _AT_ONCE)
            steps = transitions.request_replays(connection, due, request) if due else []
        return sum(isinstance(step, transitions.Moved) for step in steps)

    def _time_out(self) -> replays.Overdue:
        now_us = self.clock_us()
        with self.store.writing() as connection:
            return replays.time_out(connection, now_us - int(self.timeout_s * 1e6), now_us, _AT_ONCE)
