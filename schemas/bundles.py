"""Events on their way into a topic, many of one partition in one message: sending costs more by the message than all else. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.events import (
    Bundle,
    Event,
    Position,
    ReplayBundle,
    ReplayRequest,
    ResolvedBundle,
    SyncResolved,
    record_key,
)

# fewer go alone, each under its own key; more would be much for whoever takes a batch of them
FEW = 10
MANY = 500
# every topic takes so large a message unless it was told to take less
LARGEST_BYTES = 256 << 10
# of what a bundle says of an event, beside its texts and its original
_OTHER_BYTES = 200


@dataclass(frozen=True, slots=True)
class Placed:
    """A bundle and the partition that it belongs to: that of each of its events' keys."""

    bundle: Bundle
    partition: int


def in_bundles(
    events: Iterable[Event], partitions_of: Callable[[Sequence[bytes]], Sequence[int]], most_bytes: int
) -> Iterator[Event | Placed]:
    """Yield events alone or in bundles of at most so many bytes; those of a partition that share a bundle keep their order.

    `partitions_of` tells the partition of each of many keys.
    """
    alike: dict[Any, list[Any]] = {}
    for each in events:
        shared = _sharing(each)
        if shared is None:
            yield each
        else:
            alike.setdefault(shared, []).append(each)
    for (kind, mapping, direction, *_), group in alike.items():
        partitions = partitions_of([record_key(mapping, direction, each.record_id) for each in group])
        for partition, placed in _by_partition(group, partitions).items():
            for portion in _portions(placed, most_bytes):
                if len(portion) < FEW:
                    yield from portion
                else:
                    yield Placed(kind(tuple(portion)), partition)


def _sharing(event: Event) -> tuple[object, ...] | None:
    """Return what all events of a bundle have in common; None where an event goes alone."""
    match event:
        case ReplayRequest(corrections=None):
            return (
                ReplayBundle,
                event.mapping,
                event.direction,
                event.decision,
                event.scheduled,
                event.position.topic,
            )
        case SyncResolved(position=Position(topic=topic)):
            return (
                ResolvedBundle,
                event.mapping,
                event.direction,
                event.how,
                event.outcome,
                topic,
                event.resolved_at,
                event.worker,
            )
        case _:
            return None


def _by_partition(events: Iterable[Any], partitions: Iterable[int]) -> dict[int, list[Any]]:
    placed: dict[int, list[Any]] = {}
    for each, partition in zip(events, partitions, strict=True):
        placed.setdefault(partition, []).append(each)
    return placed


def events_in(found: Event | Bundle) -> Sequence[Event]:
    """Return the events of a message: those of a bundle, or the one that it is."""
    return found.events if isinstance(found, ResolvedBundle | ReplayBundle) else (found,)


def _portions(events: Iterable[Any], most_bytes: int) -> Iterator[list[Any]]:
    portion: list[Any] = []
    held = 0
    for each in events:
        size = _size(each)
        if portion and (held + size > most_bytes or len(portion) == MANY):
            yield portion
            portion, held = [], 0
        portion.append(each)
        held += size
    if portion:
        yield portion


def _size(event: Any) -> int:
    """Return how many bytes an event takes at most."""
    size = _OTHER_BYTES + 4 * len(event.record_id)
    if isinstance(event, ReplayRequest) and event.original is not None:
        original = event.original
        size += len(original.key or b"") + len(original.value or b"")
        size += sum(len(name) * 4 + len(value or b"") + 8 for name, value in original.headers)
    return size
