"""The page *Overview*: is anything wrong now, whose is it, does it get worse, and is the path itself alive."""

from collections import Counter
from dataclasses import dataclass

from fastapi import APIRouter, Response
from sqlalchemy import Connection

from schemas.catalogue import Fixer
from sink.groups import GroupState
from sink.store.groups import Group, GroupFilter, GroupOrder, read_groups
from sink.store.progress import PAUSE_HOLDS_US
from sink.store.rates import DAY_US, Rates, SyncStatus, read_rates, read_sync_status
from sink.store.store import Store
from sink.store.tally import Overview, read_overview
from sink.web.access.need import Viewer
from sink.web.page import words
from sink.web.page.picture import Picture, add_up, bars
from sink.web.page.rendering import PageDep

router = APIRouter()

_CAUSES = 8
_BARS = 48
_SECOND_US = 1_000_000
_LAG = "instep_sink_lag_records"


@dataclass(frozen=True, slots=True)
class Path:
    """Whether the way from the source to this page is alive; times are None where nobody was heard of yet.

    `workers` were heard of lately, `missing` are mappings that none of them works on, `unread` messages wait for the sink.
    """

    workers: int
    seen_us: int | None
    missing: tuple[str, ...]
    unread: int
    lag: int | None

    @property
    def is_silent(self) -> bool:
        """Whether no worker was heard of lately."""
        return self.workers == 0


@dataclass(frozen=True, slots=True)
class Day:
    """The last day: failures, changes (None: no worker told), both resolutions and the picture of the failures."""

    failed: int
    resolved: int
    changes: int | None
    picture: Picture

    @property
    def percent(self) -> str | None:
        """The share of changes that failed."""
        if not self.changes:
            return None
        share = 100 * self.failed / self.changes
        return "less than 0.1 %" if 0 < share < 0.1 else f"{min(share, 100):.1f} %"


@dataclass(frozen=True, slots=True)
class Since:
    """What came since the last visit; `within` is how long that is ago, as a filter writes it."""

    at_us: int
    within: str
    failed: int
    resolved: int
    causes: int


@dataclass(frozen=True, slots=True)
class Whose:
    """Who has to do something: entries of people who own records, of admins (with developers), and that heal themselves."""

    people: int
    admins: int
    healing: int


@router.get("/")
def overview(person: Viewer, page: PageDep) -> Response:
    """The state of everything on one screen; every number leads to what it counts."""
    now_us = page.web.clock_us()
    recent = page.web.recent
    counts = recent.read("overview", read_overview)
    statuses = recent.read("sync status", read_sync_status)
    rates = recent.read("last day", _read_day)
    causes = recent.read("open causes", _read_open_causes)
    last = recent.read("last cause", _read_last_cause)
    unread = page.web.registry.get_sample_value(_LAG)
    return page.show(
        person,
        "overview.html",
        counts=counts,
        whose=(whose := _whose(counts)),
        headline=headline(whose),
        oldest=min(
            (each for each in counts.mappings if each.oldest_us is not None),
            key=lambda each: each.oldest_us or 0,
            default=None,
        ),
        day=_day(rates, statuses),
        way=_path(statuses, list(page.web.config.mappings), int(unread or 0), now_us),
        causes=[(group, bars(group.hours, 20)) for group in causes[:_CAUSES]],
        more_causes=len(causes) > _CAUSES,
        last_failed_us=_last_failed(last),
        since=_since(page.web.store, person.last_visit_us, now_us),
    )


def _read_day(connection: Connection, now_us: int) -> Rates:
    return read_rates(connection, now_us - DAY_US, now_us)


def _read_open_causes(connection: Connection, now_us: int) -> list[Group]:
    open_ones = GroupFilter(states=(GroupState.OPEN, GroupState.REGRESSED))
    return read_groups(connection, open_ones, limit=_CAUSES + 1, now_us=now_us)


def _read_last_cause(connection: Connection, now_us: int) -> list[Group]:
    return read_groups(connection, GroupFilter(order=GroupOrder.LAST_SEEN), limit=1, now_us=now_us)


def _whose(counts: Overview) -> Whose:
    fixers = counts.fixers
    admins = fixers.get(Fixer.ADMIN, 0) + fixers.get(Fixer.DEVELOPER, 0)
    return Whose(fixers.get(Fixer.USER, 0), admins, fixers.get(Fixer.NOBODY, 0))


def _day(rates: Rates, statuses: list[SyncStatus]) -> Day:
    done: Counter[str] = Counter()
    for status in statuses:
        done.update(status.last_day)
    failed = [slot.failed for slot in rates.slots]
    return Day(
        sum(failed),
        sum(slot.resolved for slot in rates.slots),
        done.total() if statuses else None,
        bars(add_up(failed, _BARS), 40),
    )


def _path(statuses: list[SyncStatus], mappings: list[str], unread: int, now_us: int) -> Path:
    lately = [status for status in statuses if status.seen_us > now_us - PAUSE_HOLDS_US]
    workers = {worker for status in lately for worker in status.workers}
    heard = {status.mapping for status in lately}
    lags = [status.lag_records for status in lately if status.lag_records is not None]
    return Path(
        workers=len(workers),
        seen_us=max((status.seen_us for status in statuses), default=None),
        missing=tuple(mapping for mapping in mappings if mapping not in heard),
        unread=unread,
        lag=sum(lags) if lags else None,
    )


def _since(store: Store, last_visit_us: int | None, now_us: int) -> Since | None:
    if last_visit_us is None or last_visit_us >= now_us:
        return None
    new = GroupFilter(opened_after_us=last_visit_us)
    with store.reading() as connection:
        rates = read_rates(connection, max(last_visit_us, now_us - 30 * DAY_US), now_us)
        causes = read_groups(connection, new, limit=100, now_us=now_us)
    return Since(
        last_visit_us,
        f"{max(1, (now_us - last_visit_us) // _SECOND_US)}s",
        sum(slot.failed for slot in rates.slots),
        sum(slot.resolved for slot in rates.slots),
        len(causes),
    )


def _last_failed(last: list[Group]) -> int | None:
    return last[0].last_seen_us if last else None


def headline(whose: Whose) -> str:
    """Return in one sentence whether anything is wrong, and whose it is."""
    parts = [
        words.count(number, noun)
        for number, noun in ((whose.people, "record error"), (whose.admins, "setup error"))
        if number
    ]
    if parts:
        return (
            f"{' and '.join(parts)} {'waits' if whose.people + whose.admins == 1 else 'wait'} for somebody."
        )
    if whose.healing:
        return f"Nobody has to do anything: {words.entries(whose.healing)} {'heals itself' if whose.healing == 1 else 'heal themselves'}."
    return "Nothing is wrong."
