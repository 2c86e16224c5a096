"""What the frame of every page tells: how much waits for whom, and which apps are paused."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from schemas.catalogue import Fixer, catalogue
from schemas.config.model import Config
from schemas.events import ALL_MAPPINGS, record_key
from sink.batch import entry_id
from sink.store.counts import counted
from sink.store.fixers import fixer_of
from sink.store.progress import PAUSE_HOLDS_US, paused_mappings
from sink.store.tables import RELEVANT_STATES, entry, worker_progress


@dataclass(frozen=True, slots=True)
class PausedApp:
    """An app that takes nothing at the moment: why, since when, the mappings that wait for it, and how many changes.

    `entry_id` is the app's own entry, None where it has none.
    """

    app: str
    code: str
    title: str
    mappings: tuple[str, ...]
    since_us: int | None
    waiting: int | None
    entry_id: str | None


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around every page; `record_errors` and `setup_errors` are entries that wait for a person."""

    record_errors: int
    setup_errors: int
    paused: tuple[PausedApp, ...]


NO_FRAME = Frame(0, 0, ())


def read_frame(connection: Connection, config: Config, now_us: int) -> Frame:
    """Return the frame as it is now; asks the counts, never the entries."""
    counts = counted()
    by_code = connection.execute(
        select(counts.c.code, func.sum(counts.c.entries)).where(text(RELEVANT_STATES)).group_by(counts.c.code)
    )
    waiting = dict.fromkeys(Fixer, 0)
    for code, number in by_code:
        waiting[fixer_of(code)] += int(number)
    return Frame(
        waiting[Fixer.USER],
        waiting[Fixer.ADMIN] + waiting[Fixer.DEVELOPER],
        _paused_apps(connection, config, paused_mappings(connection, now_us), now_us),
    )


def _paused_apps(
    connection: Connection, config: Config, paused: Mapping[str, str], now_us: int
) -> tuple[PausedApp, ...]:
    if not paused:
        return ()
    lags = _lags(connection, now_us)
    apps: dict[str, list[str]] = {}
    for mapping in paused:
        known = config.mappings.get(mapping)
        apps.setdefault(mapping if known is None else known.target.app, []).append(mapping)
    return tuple(
        _paused_app(connection, app, sorted(mappings), paused[mappings[-1]], lags)
        for app, mappings in sorted(apps.items())
    )


def _paused_app(
    connection: Connection, app: str, mappings: list[str], code: str, lags: Mapping[str, int]
) -> PausedApp:
    own = entry_id(record_key(ALL_MAPPINGS, "forward", app))
    since_us = connection.scalar(
        select(entry.c.first_failed_us).where(entry.c.id == own, text(RELEVANT_STATES))
    )
    known = catalogue().get(code)
    return PausedApp(
        app=app,
        code=code,
        title=code if known is None else known.title,
        mappings=tuple(mappings),
        since_us=since_us,
        waiting=sum(lags.get(mapping, 0) for mapping in mappings) if lags else None,
        entry_id=None if since_us is None else own,
    )


def _lags(connection: Connection, now_us: int) -> dict[str, int]:
    """Return how many changes wait in each mapping, as the workers heard of lately know it."""
    lately = worker_progress.c.at_us > now_us - PAUSE_HOLDS_US
    lag = func.sum(worker_progress.c.lag_records)
    rows = connection.execute(
        select(worker_progress.c.mapping, lag)
        .where(lately, worker_progress.c.lag_records.is_not(None))
        .group_by(worker_progress.c.mapping)
    )
    return {mapping: int(number) for mapping, number in rows}
