"""The page *Groups*: what is wrong, a line a cause."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from schemas.catalogue import catalogue
from sink.desk.selection import read_cursor, write_cursor
from sink.groups import GroupState
from sink.states import State as EntryState
from sink.store.groups import Group, GroupFilter, count_groups, group_key, read_groups
from sink.store.jobs import Job
from sink.web.access.need import Viewer
from sink.web.access.person import Person
from sink.web.page import words
from sink.web.page.group_jobs import jobs_of_groups
from sink.web.page.jobs_shown import JobLine, job_line
from sink.web.page.list_query import Chip
from sink.web.page.picture import Picture, bars
from sink.web.page.rendering import Page, PageDep

router = APIRouter()

_PAGE = 50
_UNRESOLVED = (GroupState.OPEN, GroupState.REGRESSED)
_SHOWN = {
    "": ("Not resolved", _UNRESOLVED),
    "muted": ("Muted", (GroupState.MUTED,)),
    "resolved": ("Resolved", (GroupState.RESOLVED,)),
}

_STANDING = {
    EntryState.OPEN: "open",
    EntryState.UNCONFIRMED: "unconfirmed",
    EntryState.WAITING: "healing",
    EntryState.REPLAYING: "replaying",
}

State = Annotated[str, Query(pattern="^(muted|resolved)?$")]
Mapping = Annotated[str, Query(max_length=200)]
After = Annotated[str | None, Query(max_length=100)]


@dataclass(frozen=True, slots=True)
class GroupLine:
    """A group with its title, what its entries say, its small picture, and the replay of its entries, if there is one.

    `dot` is the kind of its dot, `numbers` how many entries stand where, in words.
    """

    group: Group
    title: str
    dot: str
    numbers: str
    wording: str
    picture: Picture
    job: JobLine | None


@router.get("/groups")
def groups(
    person: Viewer, page: PageDep, state: State = "", mapping: Mapping = "", after: After = None
) -> HTMLResponse:
    """Causes, those with the most entries first."""
    return _list(person, page, "groups.html", {"state": state, "mapping": mapping}, after)


@router.get("/groups/live")
def groups_live(
    person: Viewer, page: PageDep, state: State = "", mapping: Mapping = "", after: After = None
) -> HTMLResponse:
    """The part of the list that changes while entries are replayed."""
    return _list(person, page, "groups_live.html", {"state": state, "mapping": mapping}, after)


def group_line(found: Group, job: Job | None, now_us: int) -> GroupLine:
    """Return a group as pages show it."""
    known = catalogue().get(found.code)
    title = found.code if known is None else known.title
    # where the numbers of records stood
    wording = found.message.replace("#", "…")
    return GroupLine(
        group=found,
        title=title,
        dot=_dot(found),
        numbers=_numbers(found),
        wording=wording,
        picture=bars(found.hours),
        job=None if job is None else job_line(job, now_us),
    )


def _dot(found: Group) -> str:
    """Return the kind of a group's dot: red where a person is needed, amber where all of it heals itself."""
    if found.state in {GroupState.MUTED, GroupState.RESOLVED}:
        return found.state
    if not found.states.keys().isdisjoint({EntryState.OPEN, EntryState.UNCONFIRMED}):
        return EntryState.OPEN
    return EntryState.REPLAYING if EntryState.REPLAYING in found.states else EntryState.WAITING


def _numbers(found: Group) -> str:
    there = [(name, found.states[state]) for state, name in _STANDING.items() if state in found.states]
    match there:
        case []:
            return f"{words.number(found.closed)} closed"
        case [(name, _)]:
            return name
        case _:
            return ", ".join(f"{words.number(number)} {name}" for name, number in there)


def _list(
    person: Person, page: Page, template: str, asked: dict[str, str], after: str | None
) -> HTMLResponse:
    now_us = page.web.clock_us()
    mapping = asked["mapping"]
    wanted = GroupFilter(states=_SHOWN[asked["state"]][1], mappings=(mapping,) if mapping else ())
    with page.web.store.reading() as connection:
        start = None if after is None else read_cursor(after)
        found = read_groups(connection, wanted, start, _PAGE + 1, now_us=now_us)
        jobs = jobs_of_groups(connection, now_us)
    numbers = page.web.recent.read("groups by state", count_groups)
    shown = found[:_PAGE]
    last = write_cursor(group_key(shown[-1])) if len(found) > _PAGE else None
    lines = [group_line(each, jobs.get(each.id), now_us) for each in shown]
    moving = any(line.job is not None and line.job.is_moving for line in lines)
    return page.show(
        person,
        template,
        lines=lines,
        numbers=numbers,
        tabs=[
            (
                label,
                _address(asked | {"state": name}),
                name == asked["state"],
                sum(numbers.get(s, 0) for s in states),
            )
            for name, (label, states) in _SHOWN.items()
        ],
        chips=[Chip("mapping", mapping, _address(asked | {"mapping": ""}))] if mapping else [],
        asked=asked,
        live=_address(asked, after, "/groups/live") if moving else None,
        first=None if after is None else _address(asked),
        next=None if last is None else _address(asked, last),
    )


def _address(asked: dict[str, str], after: str | None = None, path: str = "/groups") -> str:
    pairs = {name: value for name, value in {**asked, "after": after or ""}.items() if value}
    return f"{path}?{urlencode(pairs)}" if pairs else path
