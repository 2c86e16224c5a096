"""Keeping the books: counts added up, groups that ended or came back, entries of an older grouping grouped anew."""

from collections.abc import Callable
from dataclasses import dataclass

from sink.store.counts import drop_empty_counts, fold_counts
from sink.store.groups import regroup, settle_groups
from sink.store.store import Store

_REGROUPED_AT_ONCE = 500
# in one go, so that other work gets its turn
_REGROUPED_BATCHES = 10


@dataclass(frozen=True, slots=True)
class Bookkeeper:
    """Who keeps the books; `clock_us` tells the time in microseconds since 1970. Several may do so at once."""

    store: Store
    clock_us: Callable[[], int]

    def add_up(self) -> int:
        """Add noted changes to the counts; returns how many. Raises what StoreAway lists when the store is away."""
        with self.store.writing() as connection:
            return fold_counts(connection)

    def settle(self) -> int:
        """Mark groups that ended; returns how many changed. Raises what StoreAway lists when the store is away."""
        with self.store.writing() as connection:
            drop_empty_counts(connection)
            return settle_groups(connection, self.clock_us())

    def regroup(self) -> int:
        """Group some entries of an older grouping anew; returns how many. Raises what StoreAway lists when the store is away."""
        total = 0
        for _ in range(_REGROUPED_BATCHES):
            with self.store.writing() as connection:
                done = regroup(connection, _REGROUPED_AT_ONCE)
            total += done
            if done < _REGROUPED_AT_ONCE:
                break
        return total
