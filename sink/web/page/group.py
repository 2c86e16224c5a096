"""The page *Group*: one cause, its entries, and what can be done with all of them at once."""

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse

from schemas.catalogue import catalogue
from schemas.events import Decision
from sink import actions
from sink.actions import Actor, Wish
from sink.group_actions import GroupRefused, mute, unmute
from sink.job_actions import JobOrder, JobRefused, start_job
from sink.states import ALLOWED, RELEVANT, Action
from sink.store.entries import Filter, read_ids, read_page
from sink.store.groups import Group, read_group
from sink.web.access.need import Operator, Viewer
from sink.web.access.person import Person
from sink.web.page.acting import Reason, closed_flash, unwatched
from sink.web.page.flash import Flash, go
from sink.web.page.group_jobs import jobs_of_groups
from sink.web.page.group_list import group_line
from sink.web.page.rendering import Page, PageDep
from sink.web.page.words import entries

router = APIRouter()

_SHOWN = 50
_HOUR_US = 3600 * 1_000_000
_MUTES_H = {"1h": 1, "8h": 8, "24h": 24, "7d": 168}
_DOUBLES = "doubles"

Now = Annotated[int, Form(ge=0, le=10**18)]


@router.get("/groups/{group_id}")
def group(group_id: str, person: Viewer, page: PageDep) -> HTMLResponse:
    """One cause and its latest entries."""
    return _show(group_id, person, page, "group.html")


@router.get("/groups/{group_id}/live")
def group_live(group_id: str, person: Viewer, page: PageDep) -> HTMLResponse:
    """The part of the page that changes while entries are replayed."""
    return _show(group_id, person, page, "group_live.html")


@router.post("/groups/{group_id}/replay")
def replay(
    group_id: str,
    person: Operator,
    page: PageDep,
    now: Now,
    rate: Annotated[int | None, Form(ge=1, le=100_000)] = None,
    canaries: Annotated[int | None, Form(ge=0, le=1000)] = None,
) -> RedirectResponse:
    """Replay what the group holds at the moment that the page was loaded."""
    found = _find(group_id, page)
    replaying = page.web.config.sink.replay
    order = JobOrder(
        Decision.RETRY,
        None,
        rate,
        replaying.canaries if canaries is None else canaries,
        f"{group_line(found, None, now).title} ({found.mapping}, group {found.id[:8]})",
    )
    ids = _ids(page, found, Action.REPLAY, now)
    job = start_job(page.web.store, ids, order, Actor(person.name, person.via))
    if isinstance(job, JobRefused):
        return go(f"/groups/{found.id}", Flash(f"Nothing was replayed: {job.reason}.", "refused"))
    said = Flash(
        f"The replay of {entries(job.total)} has begun.", href=f"/replays/{job.id}", label="Watch it alone"
    )
    return go(f"/groups/{found.id}", said)


@router.post("/groups/{group_id}/resolve")
def resolve(
    group_id: str, person: Operator, page: PageDep, now: Now, reason: Reason = ""
) -> RedirectResponse:
    """Close all entries as resolved by hand."""
    return _close(group_id, person, page, Action.RESOLVE, now, reason)


@router.post("/groups/{group_id}/discard")
def discard(
    group_id: str, person: Operator, page: PageDep, now: Now, reason: Reason = ""
) -> RedirectResponse:
    """Give all entries up."""
    if not reason.strip():
        said = "Nothing was discarded: say why, for those who ask later."
        return go(f"/groups/{_find(group_id, page).id}", Flash(said, "refused"))
    return _close(group_id, person, page, Action.DISCARD, now, reason)


@router.post("/groups/{group_id}/mute")
def mute_group(
    group_id: str, person: Operator, page: PageDep, until: Annotated[str, Form(max_length=20)]
) -> RedirectResponse:
    """Leave the group out of the list until a time, or until it doubles."""
    found = _find(group_id, page)
    now_us = page.web.clock_us()
    hours = _MUTES_H.get(until)
    if hours is None and until != _DOUBLES:
        raise HTTPException(422, f"until: one of {', '.join((*_MUTES_H, _DOUBLES))}")
    until_us = None if hours is None else now_us + hours * _HOUR_US
    up_to = None if hours is not None else max(1, 2 * found.relevant)
    done = mute(page.web.store, found.id, until_us, up_to, Actor(person.name, person.via), now_us)
    return go(f"/groups/{found.id}", _muted_flash(done, "The group is muted. Its entries go on as before."))


@router.post("/groups/{group_id}/unmute")
def unmute_group(group_id: str, person: Operator, page: PageDep) -> RedirectResponse:
    """Have the group in the list again."""
    found = _find(group_id, page)
    done = unmute(page.web.store, found.id, Actor(person.name, person.via), page.web.clock_us())
    return go(f"/groups/{found.id}", _muted_flash(done, "The group is in the list again."))


def _show(group_id: str, person: Person, page: Page, template: str) -> HTMLResponse:
    now_us = page.web.clock_us()
    found = _find(group_id, page)
    with page.web.store.reading() as connection:
        wanted = Filter(groups=(found.id,), states=tuple(sorted(RELEVANT)))
        shown = read_page(connection, wanted, limit=_SHOWN)
        job = jobs_of_groups(connection, now_us).get(found.id)
    return page.show(
        person,
        template,
        line=group_line(found, job, now_us),
        code=catalogue().get(found.code),
        entries=shown,
        actionable={
            str(action): sum(found.states.get(state, 0) for state in allowed)
            for action, allowed in ALLOWED.items()
        },
        replaying=page.web.config.sink.replay,
        keeps_for=page.web.config.sink.retention.closed.total_seconds(),
    )


def _find(group_id: str, page: Page) -> Group:
    with page.web.store.reading() as connection:
        found = read_group(connection, group_id, now_us=page.web.clock_us())
    if found is None:
        raise HTTPException(404, "There is no such group. Its entries may have been cleared since.")
    return found


def _ids(page: Page, found: Group, action: Action, now_us: int) -> list[str]:
    """Return the entries of the group that the person saw: what failed later is not meant."""
    wanted = Filter(groups=(found.id,), states=tuple(sorted(ALLOWED[action])), failed_before_us=now_us + 1)
    with page.web.store.reading() as connection:
        return read_ids(connection, wanted)


def _close(
    group_id: str, person: Person, page: Page, action: Action, now_us: int, reason: str
) -> RedirectResponse:
    found = _find(group_id, page)
    ids = _ids(page, found, action, now_us)
    wish = Wish(action, reason.strip() or None)
    steps = actions.act(page.web.store, ids, wish, Actor(person.name, person.via), unwatched)
    return go("/groups", closed_flash(action, steps))


def _muted_flash(done: Group | GroupRefused, said: str) -> Flash:
    if isinstance(done, GroupRefused):
        return Flash(f"Nothing was changed: {done.reason}.", "refused")
    return Flash(said)
