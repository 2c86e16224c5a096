"""Writing what the database refuses a part of: in halves, until what it refuses stands alone."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, IntegrityError

T = TypeVar("T")

# what a database raises for a value that it does not take: the same work fails again
ValueRefused = (DataError, IntegrityError)


def write_in_halves(
    connection: Connection,
    items: Sequence[T],
    write: Callable[[Sequence[T]], None],
    refuse: Callable[[T, str], None],
) -> None:
    """Write all items but those that the database refuses by themselves; `refuse` gets each of these, with the error's name."""
    if not items:
        return
    try:
        with connection.begin_nested():
            write(items)
    except ValueRefused as error:
        if len(items) == 1:
            refuse(items[0], type(error.orig).__name__)
            return
        middle = len(items) // 2
        write_in_halves(connection, items[:middle], write, refuse)
        write_in_halves(connection, items[middle:], write, refuse)
