"""The numbers of the whole store, for metrics: asked for on a timer, never on a request."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from sink.states import RELEVANT, Action, State
from sink.store.audit import REFUSED
from sink.store.tables import audit, entry, metadata, replay, worker_progress

EntryKey = tuple[str, str, State]


@dataclass(frozen=True, slots=True)
class Statistics:
    """`entries` by mapping, category and state, `actions` by action, surface and outcome; times are microseconds since 1970."""

    entries: Mapping[EntryKey, int]
    oldest_us: Mapping[str, int]
    replays_in_flight: int
    worker_seen_us: Mapping[str, int]
    actions: Mapping[tuple[str, str, str], int]
    replays_refused: int
    store_bytes: int


def read_statistics(connection: Connection) -> Statistics:
    """Return the numbers as they are now; one pass over the entries."""
    table = entry.c
    query = select(table.mapping, table.category, table.state, func.count(), func.min(table.first_failed_us))
    entries: dict[EntryKey, int] = {}
    oldest: dict[str, int] = {}
    for mapping, category, state, number, first_us in connection.execute(
        query.group_by(table.mapping, table.category, table.state)
    ):
        entries[mapping, category, State(state)] = number
        if state in RELEVANT:
            oldest[mapping] = min(first_us, oldest.get(mapping, first_us))
    in_flight = select(func.count()).where(replay.c.verdict.is_(None), replay.c.sent_us.is_not(None))
    seen = select(worker_progress.c.mapping, func.max(worker_progress.c.at_us))
    deeds = select(audit.c.action, audit.c.via, audit.c.outcome, func.count(), func.sum(audit.c.count))
    done = connection.execute(deeds.group_by(audit.c.action, audit.c.via, audit.c.outcome)).all()
    return Statistics(
        entries=entries,
        oldest_us=oldest,
        replays_in_flight=connection.scalar(in_flight) or 0,
        worker_seen_us=dict(connection.execute(seen.group_by(worker_progress.c.mapping)).all()),
        actions={(action, via, outcome): number for action, via, outcome, number, _ in done},
        replays_refused=sum(
            int(total)
            for action, _, outcome, _, total in done
            if (action, outcome) == (Action.REPLAY, REFUSED)
        ),
        store_bytes=_store_bytes(connection),
    )


def _store_bytes(connection: Connection) -> int:
    if connection.dialect.name == "sqlite":
        pages: int = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        page_bytes: int = connection.exec_driver_sql("PRAGMA page_size").scalar_one()
        return pages * page_bytes
    total = text(
        "SELECT sum(pg_total_relation_size(to_regclass(name))) FROM unnest(CAST(:names AS text[])) AS name"
    )
    return int(connection.scalar(total, {"names": list(metadata.tables)}) or 0)
