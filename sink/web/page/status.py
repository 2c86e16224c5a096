"""The page *Sync status*: what the workers did lately, mapping by mapping, and whether they are there."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from schemas.catalogue import catalogue
from schemas.config.model import Config
from sink.store.progress import PAUSE_HOLDS_US
from sink.store.rates import SyncStatus, read_sync_status
from sink.web.access.need import Viewer
from sink.web.access.person import Person
from sink.web.page.rendering import Page, PageDep

router = APIRouter()

OUTCOMES = ("inserted", "modified", "deleted", "unchanged", "superseded", "skipped")
_LARGE_LAG = 10_000


@dataclass(frozen=True, slots=True)
class StatusLine:
    """One mapping in one direction; what is `bad` is named: paused, silent, lag, failed."""

    status: SyncStatus
    paused_title: str | None
    bad: frozenset[str]


@router.get("/status")
def status(person: Viewer, page: PageDep) -> HTMLResponse:
    """Every mapping that a worker told of, and those that none did."""
    return _show(person, page, "status.html")


@router.get("/status/live")
def status_live(person: Viewer, page: PageDep) -> HTMLResponse:
    """The part of the page that changes."""
    return _show(person, page, "status_live.html")


def _show(person: Person, page: Page, template: str) -> HTMLResponse:
    now_us = page.web.clock_us()
    statuses = page.web.recent.read("sync status", read_sync_status)
    return page.show(
        person,
        template,
        lines=[_line(each, now_us) for each in statuses],
        unheard=_unheard(page.web.config, statuses),
        outcomes=OUTCOMES,
    )


def _line(each: SyncStatus, now_us: int) -> StatusLine:
    bad = {
        "paused": each.paused_code is not None,
        "silent": each.seen_us < now_us - PAUSE_HOLDS_US,
        "lag": (each.lag_records or 0) > _LARGE_LAG,
        "failed": each.last_hour.get("failed", 0) > 0,
    }
    known = catalogue().get(each.paused_code or "")
    title = None if each.paused_code is None else (each.paused_code if known is None else known.title)
    return StatusLine(each, title, frozenset(name for name, is_so in bad.items() if is_so))


def _unheard(config: Config, statuses: Sequence[SyncStatus]) -> list[str]:
    heard = {each.mapping for each in statuses}
    return [name for name in config.mappings if name not in heard]
