"""What every page shows and nobody needs to the second: read once for all who ask within one."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Connection

from sink.store.store import Store

AT_MOST_US = 1_000_000
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Read:
    value: Any
    at_us: int
    writes: int


@dataclass(frozen=True, slots=True)
class Recent:
    """Remembers answers of a store for AT_MOST_US, or until something is written through the same `store`: who acts sees it at once.

    `clock_us` tells the time in microseconds since 1970.
    """

    store: Store
    clock_us: Callable[[], int]
    answers: dict[str, _Read] = field(default_factory=dict)

    def read(self, name: str, read: Callable[[Connection, int], _T]) -> _T:
        """Return what `read` returned lately under this name, or returns now; raises what StoreAway lists."""
        now_us, writes = self.clock_us(), self.store.writes
        known = self.answers.get(name)
        if known is None or known.writes != writes or not 0 <= now_us - known.at_us < AT_MOST_US:
            with self.store.reading() as connection:
                known = _Read(read(connection, now_us), now_us, writes)
            self.answers[name] = known
        value: _T = known.value
        return value
