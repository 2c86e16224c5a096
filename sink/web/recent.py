"""What every page shows and nobody needs to the second: kept for a few, and read anew while those who ask have the last answer."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection

from plumbing.database import unreachable_reason
from sink.store.store import Store, StoreAway

FRESH_US = 1_000_000
KEPT_US = 3_000_000
_T = TypeVar("_T")


def in_background(work: Callable[[], None]) -> None:
    """Do something in a thread of its own, which keeps nobody from ending."""
    threading.Thread(target=work, name="recent", daemon=True).start()


@dataclass(frozen=True, slots=True)
class _Read:
    value: Any
    at_us: int
    writes: int


@dataclass(frozen=True, slots=True)
class Recent:
    """Remembers answers of a store for KEPT_US, or until something is written through the same `store`: who acts sees it at once.

    Whoever asks for one that is older than FRESH_US gets it, and `later` does what it is given to read it anew.
    `clock_us` tells the time in microseconds since 1970.
    """

    store: Store
    clock_us: Callable[[], int]
    later: Callable[[Callable[[], None]], None] = in_background
    answers: dict[str, _Read] = field(default_factory=dict)
    under_way: set[str] = field(default_factory=set)

    def read(self, name: str, read: Callable[[Connection, int], _T]) -> _T:
        """Return what `read` returned lately under this name, or returns now; raises what StoreAway lists."""
        known = self.answers.get(name)
        age_us = -1 if known is None else self.clock_us() - known.at_us
        if known is None or known.writes != self.store.writes or not 0 <= age_us < KEPT_US:
            known = self._read_now(name, read)
        elif age_us >= FRESH_US and name not in self.under_way:
            self.under_way.add(name)
            self.later(partial(self._refresh, name, read))
        value: _T = known.value
        return value

    def _read_now(self, name: str, read: Callable[[Connection, int], Any]) -> _Read:
        now_us, writes = self.clock_us(), self.store.writes
        with self.store.reading() as connection:
            self.answers[name] = _Read(read(connection, now_us), now_us, writes)
        return self.answers[name]

    def _refresh(self, name: str, read: Callable[[Connection, int], Any]) -> None:
        try:
            self._read_now(name, read)
        except StoreAway as error:
            # who asks when the last answer is too old is told
            structlog.get_logger().debug("not read anew", what=name, reason=unreachable_reason(error))
        finally:
            self.under_way.discard(name)
