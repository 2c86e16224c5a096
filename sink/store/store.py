"""The open store: transactions for reading and for writing."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from pydantic import SecretStr
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, ProgrammingError

from plumbing.database import READ_ONLY, open_engine

# What a database that is gone, restarting, full, read-only or locked raises, or that lacks a grant or a table (ProgrammingError):
# the same work may succeed later.
StoreAway = (OperationalError, InterfaceError, InternalError, ProgrammingError)


class Store:
    """One database with the sink's tables; `writes` is another number after each transaction that may have written."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.writes = 0
        # counts in one step, whichever threads write at once
        self._ended = count(1)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads; raises what StoreAway lists when the database is away."""
        with self.engine.connect().execution_options(**{READ_ONLY: True}) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that commits at the end of the block, or leaves nothing behind if it raises."""
        try:
            with self.engine.begin() as connection:
                yield connection
        finally:  # a commit that was cut off may have been done
            self.writes = next(self._ended)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def open_store(url: SecretStr | str) -> Store:
    """Return the store behind a URL; nothing connects before its first use."""
    return Store(open_engine(url, name="instep-sink"))
