"""Writing what the database refuses a part of: in halves, until what it refuses stands alone."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from plumbing.database import refuses_values

T = TypeVar("T")


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
    except DBAPIError as error:
        if not refuses_values(error):
            raise
        if len(items) == 1:
            refuse(items[0], type(error.orig).__name__)
            return
        middle = len(items) // 2
        write_in_halves(connection, items[:middle], write, refuse)
        write_in_halves(connection, items[middle:], write, refuse)
