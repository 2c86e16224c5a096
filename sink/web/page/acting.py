"""Actions on many entries: those selected in a list, or all that match; what cannot be taken back asks first."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, Form, Response
from pydantic import StringConstraints

from schemas.events import Decision
from sink import actions
from sink.actions import Actor, Wish
from sink.desk.selection import WrongUse
from sink.desk.wire import NO_NUL
from sink.job_actions import JobOrder, JobRefused, start_job
from sink.states import ALLOWED, Action, Refusal
from sink.store.entries import Filter, count_entries, read_ids
from sink.store.transitions import Refused, Step
from sink.web.access.need import Operator
from sink.web.access.person import Person
from sink.web.page.flash import Flash, go
from sink.web.page.list_query import SHELVES, ListQuery, in_words, read_query
from sink.web.page.rendering import Page, PageDep
from sink.web.page.words import entries

router = APIRouter()

_MOST_SELECTED = 500
_LONGEST_REASON = 500
_MAX_RATE = 100_000
_PAST = {Action.RESOLVE: "resolved", Action.DISCARD: "discarded"}

Act = Annotated[Action, Form()]
Reason = Annotated[str, Form(max_length=_LONGEST_REASON, pattern=NO_NUL)]
Ids = Annotated[
    list[Annotated[str, StringConstraints(pattern=NO_NUL)]],
    Form(alias="id", default_factory=list, max_length=_MOST_SELECTED),
]
All = Annotated[str | None, Form(alias="all")]
Back = Annotated[str, Form(max_length=8000)]
Now = Annotated[int, Form(ge=0, le=10**18)]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The entries that an action is meant for: by id, or by the list that was looked at (`query`)."""

    ids: tuple[str, ...]
    query: ListQuery | None
    wanted: Filter
    what: str


@router.post("/entries/act")
def act(
    page: PageDep, person: Operator, act: Act, back: Back, now: Now, ids: Ids, all_: All = None
) -> Response:
    """Start a replay of what is selected; ask before anything else is done."""
    chosen = _chosen(act, ids, back, now, matching=all_ is not None)
    if not chosen.ids and chosen.query is None:
        return go(inside(back), Flash("Select at least one entry first.", "refused"))
    if act is Action.REPLAY and chosen.query is None:
        return _replay(page, person, chosen, back, page.web.config.sink.replay.rate_per_s, None)
    with page.web.store.reading() as connection:
        tallies = count_entries(connection, chosen.wanted)
    return page.show(
        person,
        "confirm.html",
        act=act,
        chosen=chosen,
        tallies=tallies,
        total=sum(tally.entries for tally in tallies),
        back=inside(back),
        now=now,
        replay=page.web.config.sink.replay,
        keeps_for=page.web.config.sink.retention.closed.total_seconds(),
    )


@router.post("/entries/act/do")
def act_now(
    page: PageDep,
    person: Operator,
    act: Act,
    back: Back,
    now: Now,
    ids: Ids,
    all_: All = None,
    reason: Reason = "",
    rate: Annotated[int | None, Form(ge=1, le=_MAX_RATE)] = None,
    canaries: Annotated[int | None, Form(ge=0, le=1000)] = None,
) -> Response:
    """Do what was asked for and confirmed."""
    chosen = _chosen(act, ids, back, now, matching=all_ is not None)
    if act is Action.REPLAY:
        return _replay(page, person, chosen, back, rate, canaries)
    if act is Action.DISCARD and not reason.strip():
        return go(inside(back), Flash("Nothing was discarded: say why, for those who ask later.", "refused"))
    wish = Wish(act, reason.strip() or None, named=chosen.query is None)
    steps = actions.act(page.web.store, _ids(page, chosen), wish, Actor(person.name, person.via), unwatched)
    return go(inside(back), closed_flash(act, steps))


def closed_flash(act: Action, steps: Sequence[Step]) -> Flash:
    """Return how many entries were closed, and why others were not."""
    refused = Counter(step.reason for step in steps if isinstance(step, Refused))
    done = len(steps) - refused.total()
    said = [f"{entries(done)} {_PAST[act]}."] if done or not refused else []
    said += [f"{entries(number)} left alone: {Refusal(reason)}." for reason, number in refused.items()]
    return Flash(" ".join(said), "done" if done else "refused")


def inside(address: str) -> str:
    """Return an address to go back to if it is one of ours, else the first page's."""
    ours = address.startswith("/") and not address.startswith("//") and address.isprintable()
    return address if ours and "\\" not in address else "/"


def _chosen(act: Action, ids: list[str], back: str, now_us: int, *, matching: bool) -> Chosen:
    allowed = ALLOWED[act]
    if not matching:
        listed = tuple(dict.fromkeys(ids))
        wanted = Filter(ids=listed, states=tuple(sorted(allowed)))
        return Chosen(listed, None, wanted, f"{entries(len(listed))} selected on the page")
    parts = urlsplit(back)
    shelf = SHELVES.get(parts.path)
    if shelf is None:
        raise WrongUse("the list whose entries are meant is not known; load it again")
    query = read_query(shelf, parse_qsl(parts.query))
    wanted = query.filter(now_us)
    states = tuple(sorted(allowed.intersection(wanted.states)))
    before_us = now_us + 1 if wanted.failed_before_us is None else min(wanted.failed_before_us, now_us + 1)
    # a list without states would mean all of them
    narrowed = replace(wanted, states=states, failed_before_us=before_us) if states else Filter(ids=("",))
    return Chosen((), query, narrowed, in_words(query, states))


def _ids(page: Page, chosen: Chosen) -> Sequence[str]:
    if chosen.query is None:
        return chosen.ids
    with page.web.store.reading() as connection:
        return read_ids(connection, chosen.wanted)


def _replay(
    page: Page, person: Person, chosen: Chosen, back: str, rate: int | None, canaries: int | None
) -> Response:
    first = page.web.config.sink.replay.canaries if canaries is None else canaries
    order = JobOrder(Decision.RETRY, None, rate, first, chosen.what, named=chosen.query is None)
    job = start_job(page.web.store, _ids(page, chosen), order, Actor(person.name, person.via))
    if isinstance(job, JobRefused):
        return go(inside(back), Flash(f"Nothing was replayed: {job.reason}.", "refused"))
    return go(f"/replays/{job.id}", Flash(f"The replay of {entries(job.total)} has begun."))


def unwatched(_done: int) -> None:
    """Nobody watches the progress of a form."""
