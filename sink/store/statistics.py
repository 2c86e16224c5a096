"""The numbers of the whole store, for metrics: asked for on a timer, never on a request."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from sink.groups import GroupState
from sink.states import Action, State
from sink.store.audit import REFUSED
from sink.store.counts import counted, read_oldest
from sink.store.groups import count_groups
from sink.store.tables import audit, metadata, replay, worker_progress

EntryKey = tuple[str, str, State]


@dataclass(frozen=True, slots=True)
class Statistics:
    """`entries` by mapping, category and state, `actions` by action, surface and outcome; times are microseconds since 1970."""

    entries: Mapping[EntryKey, int]
    oldest_us: Mapping[str, int]
    groups: Mapping[GroupState, int]
    replays_in_flight: int
    worker_seen_us: Mapping[str, int]
    actions: Mapping[tuple[str, str, str], int]
    replays_refused: int
    store_bytes: int


def read_statistics(connection: Connection, now_us: int) -> Statistics:
    """Return the numbers as they are now; none of them by a pass over the entries."""
    counts = counted()
    kind = (counts.c.mapping, counts.c.category, counts.c.state)
    number = func.sum(counts.c.entries)
    entries = connection.execute(select(*kind, number).group_by(*kind).having(number > 0))
    in_flight = select(func.count()).where(replay.c.verdict.is_(None), replay.c.claimed_us.is_not(None))
    seen = select(worker_progress.c.mapping, func.max(worker_progress.c.at_us))
    deeds = select(audit.c.action, audit.c.via, audit.c.outcome, func.count(), func.sum(audit.c.count))
    done = connection.execute(deeds.group_by(audit.c.action, audit.c.via, audit.c.outcome)).all()
    return Statistics(
        entries={
            (mapping, category, State(state)): int(total) for mapping, category, state, total in entries
        },
        oldest_us=read_oldest(connection),
        groups=count_groups(connection, now_us),
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
