"""What each worker last said of itself, mapping by mapping."""

from collections.abc import Sequence

import orjson
from sqlalchemy import Connection, select

from schemas.events import SyncProgress
from sink.moment import to_us
from sink.store import bulk
from sink.store.rows import clean, name
from sink.store.tables import entry, worker_progress

# a worker says so every few seconds; one that was silent for longer may be gone
PAUSE_HOLDS_US = 60_000_000

_KEY = ("worker", "mapping", "direction")
_REPLACE = "UPDATE SET " + ", ".join(
    f"{column.name} = excluded.{column.name}" for column in worker_progress.columns if column.name not in _KEY
)
_REPLACE += f" WHERE {worker_progress.name}.at_us <= excluded.at_us"


def write_progress(connection: Connection, progress: Sequence[SyncProgress]) -> None:
    """Replace what the workers said before; no two of `progress` may be of one worker and mapping."""
    rows = [
        (
            name(each.worker),
            name(each.mapping),
            name(each.direction),
            name(each.group),
            to_us(each.at),
            to_us(each.started_at),
            clean(orjson.dumps(dict(each.counts)).decode()),
            each.lag_records,
            None if each.paused_code is None else name(each.paused_code),
        )
        for each in progress
    ]
    bulk.upsert_rows(connection, worker_progress, _KEY, rows, _REPLACE)


def paused_mappings(connection: Connection, now_us: int) -> dict[str, str]:
    """Return the mappings whose app is paused according to a worker heard of lately, with the code of the reason."""
    lately = worker_progress.c.at_us > now_us - PAUSE_HOLDS_US
    rows = connection.execute(
        select(worker_progress.c.mapping, worker_progress.c.paused_code)
        .where(worker_progress.c.paused_code.is_not(None), lately)
        .order_by(worker_progress.c.at_us)
    )
    return {row.mapping: row.paused_code for row in rows}


def paused_among(connection: Connection, ids: Sequence[str], now_us: int) -> tuple[str, str] | None:
    """Return mapping and code of one entry whose app is paused, None where none is."""
    paused = paused_mappings(connection, now_us)
    if not paused:
        return None
    hit = (bulk.among(connection, entry.c.id, ids), entry.c.mapping.in_(sorted(paused)))
    mapping = connection.scalar(select(entry.c.mapping).where(*hit).limit(1))
    return None if mapping is None else (mapping, paused[mapping])
