"""The bare upsert of the sink's rows: entries and payloads read from a filled store, put into an empty one.

COPY in binary into temporary tables and INSERT … ON CONFLICT, 2,000 entries a transaction with the position noted; all
rows are in memory before the first is written. `python -m benchmarks.bare_rows --source URL --url URL`, until SIGTERM.
"""

import argparse
import itertools
import signal
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from benchmarks.bare import BATCH
from benchmarks.stores import ENTRIES, PAYLOADS, POSITIONS

Rows = Sequence[tuple[Any, ...]]


def _columns(connection: psycopg.Connection, table: str) -> list[tuple[str, str]]:
    found = connection.execute(
        "select column_name, udt_name from information_schema.columns where table_name = %s order by ordinal_position",
        (table,),
    )
    return [(name, kind) for name, kind in found.fetchall()]


class Upsert:
    """The bulk upsert into one table by its column `id`."""

    def __init__(self, connection: psycopg.Connection, table: str) -> None:
        columns = _columns(connection, table)
        names = ", ".join(f'"{name}"' for name, _ in columns)
        sets = ", ".join(f'"{name}" = excluded."{name}"' for name, _ in columns if name != "id")
        self._types = [kind for _, kind in columns]
        self._cursor = connection.cursor()
        self._cursor.execute(f"create temp table stage_{table} (like {table}) on commit delete rows".encode())
        self._copy = f"copy stage_{table} ({names}) from stdin (format binary)".encode()
        self._merge = f"insert into {table} ({names}) select {names} from stage_{table} on conflict (id) do update set {sets}".encode()

    def __call__(self, rows: Rows) -> None:
        """Write one batch in the transaction of the connection."""
        with self._cursor.copy(self._copy) as stage:
            stage.set_types(self._types)
            for row in rows:
                stage.write_row(row)
        self._cursor.execute(self._merge)


def _batches(rows: Rows) -> Iterator[Rows]:
    ordered = iter(rows)
    while batch := list(itertools.islice(ordered, BATCH)):
        yield batch


def main() -> None:
    """Copy, then wait to be told to stop, as the other sides do."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("source", "url"):
        parser.add_argument(f"--{name}", required=True)
    args = parser.parse_args()
    with psycopg.connect(args.source.replace("postgresql+psycopg", "postgresql")) as source:
        entries = source.execute(f"select * from {ENTRIES}".encode()).fetchall()
        payloads = source.execute(f"select * from {PAYLOADS}".encode()).fetchall()
    connection = psycopg.connect(args.url.replace("postgresql+psycopg", "postgresql"))
    upserts = Upsert(connection, ENTRIES), Upsert(connection, PAYLOADS)
    connection.commit()
    note = f"insert into {POSITIONS} values ('rows', 0, %s, 0, 0) on conflict (topic, partition) do update set position = excluded.position"
    done = 0
    for batches in itertools.zip_longest(_batches(entries), _batches(payloads), fillvalue=()):
        for upsert, rows in zip(upserts, batches, strict=True):
            upsert(rows)
        done += len(batches[0])
        connection.execute(note.encode(), (done,))
        connection.commit()
    signal.sigwait({signal.SIGTERM})


if __name__ == "__main__":
    main()
