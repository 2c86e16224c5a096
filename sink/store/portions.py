"""Rows in portions whose messages fit into memory. Pure."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

# of messages that are in memory together; the last of them may go beyond
BYTES_AT_ONCE = 16 << 20


def in_portions(
    items: Iterable[T], size_of: Callable[[T], int | None], most: int, most_bytes: int
) -> Iterator[list[T]]:
    """Yield the items in their order, so many and so many bytes at a time; the last one of a portion may go beyond."""
    portion: list[T] = []
    held = 0
    for item in items:
        portion.append(item)
        held += size_of(item) or 0
        if len(portion) >= most or held >= most_bytes:
            yield portion
            portion, held = [], 0
    if portion:
        yield portion
