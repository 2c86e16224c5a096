"""/entries: what is wrong now, and what can be done about it."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field

from sink.actions import Wish
from sink.desk.wire import (
    ActionForm,
    ChosenView,
    EntryDetailView,
    EntryPageView,
    EntryView,
    MessageView,
    ReplayView,
    StepsView,
    StepView,
    TallyView,
)
from sink.store.entries import Entry
from sink.store.transitions import Moved, Refused, Step
from sink.web.access.need import Admin, Operator, Viewer
from sink.web.access.person import Person
from sink.web.api.acting import IfMatch, desk_of, etag, refused, wanted_version
from sink.web.api.once import IdempotencyKey, OnceRoute
from sink.web.api.selecting import After, EntryFilter, Limit, SelectionForm, Words
from sink.web.problem import ProblemError, documented, not_found
from sink.web.web import WebDep

MOST_AT_ONCE = 100_000

router = APIRouter(
    prefix="/entries", tags=["entries"], route_class=OnceRoute, responses=documented(401, 403, 422, 503)
)


class EntryQuery(EntryFilter):
    """The parameters of the list of entries."""

    id: Words = Field(default=[], description="Ids of entries; the first digits suffice.")
    limit: Limit = 50
    after: After = None


class BulkForm(SelectionForm, ActionForm):
    """What is to be done with which entries."""

    parked_too: bool | None = Field(
        default=None,
        description="Whether entries are meant too that three replays failed for; left out: if named by id.",
    )


@router.get("")
def list_entries(query: Annotated[EntryQuery, Query()], person: Viewer, web: WebDep) -> EntryPageView:
    """List entries, the last failed first. What is closed is listed when asked for by `state`."""
    page = desk_of(web, person).list_entries(
        query.selection(tuple(query.id)), limit=query.limit, after=query.after
    )
    return EntryPageView(entries=[_view(entry, person) for entry in page.entries], after=page.after)


@router.post("/selection")
def select_entries(form: SelectionForm, person: Viewer, web: WebDep) -> ChosenView:
    """Say which entries an action would be for, without doing anything."""
    chosen = desk_of(web, person).choose(form.selection())
    return ChosenView(ids=chosen.ids, tallies=[TallyView.of(each) for each in chosen.tallies])


@router.post("/actions", responses=documented(409))
def act_on_entries(form: BulkForm, person: Operator, web: WebDep, _key: IdempotencyKey = None) -> StepsView:
    """Replay, resolve or discard many entries. Each is moved or refused on its own; a replay job is the way for very many."""
    desk = desk_of(web, person)
    ids = desk.choose(form.selection()).ids if form.ids is None else form.ids
    if len(ids) > MOST_AT_ONCE:
        detail = f"{len(ids)} entries are selected, and one request is for {MOST_AT_ONCE} at most; start a replay job."
        raise ProblemError(409, "too-many", detail)
    wish = Wish(
        form.action, form.reason, named=form.ids is not None if form.parked_too is None else form.parked_too
    )
    return steps_view(desk.act(ids, wish, lambda _: None))


@router.get("/{entry_id}", responses=documented(404))
def show_entry(entry_id: str, person: Viewer, web: WebDep, response: Response) -> EntryDetailView:
    """Show one entry; the first digits of its id suffice. Its ETag is its row version."""
    detail = desk_of(web, person).show_entry(entry_id, with_message=False)
    if detail is None:
        raise not_found("entry")
    response.headers["ETag"] = etag(detail.entry.row_version)
    replays = [ReplayView.of(each) for each in detail.replays]
    view = _view(detail.entry, person)
    return EntryDetailView(**dict(view), replays=replays, message_bytes=detail.message_bytes)


@router.get("/{entry_id}/message", responses=documented(404))
def show_message(entry_id: str, person: Admin, web: WebDep) -> MessageView:
    """Show the message of the change as it came, with the values in it."""
    detail = desk_of(web, person).show_entry(entry_id, with_message=True)
    if detail is None or detail.message is None:
        raise not_found("message")
    return MessageView(key=detail.message.key, value=detail.message.value)


@router.post("/{entry_id}/actions", responses=documented(404, 409, 412))
def act_on_entry(
    entry_id: str,
    form: ActionForm,
    person: Operator,
    web: WebDep,
    if_match: IfMatch = None,
    _key: IdempotencyKey = None,
) -> StepView:
    """Replay, resolve or discard one entry; with `If-Match`, only as long as it is as it was."""
    version = wanted_version(if_match)
    wish = Wish(form.action, form.reason, row_version=version)
    (step,) = desk_of(web, person).act([entry_id], wish, lambda _: None)
    if isinstance(step, Refused):
        raise refused(step, had_version=version is not None)
    return StepView.of(step)


def _view(entry: Entry, person: Person) -> EntryView:
    """Return the view of an entry: its trace only for those who see values, as there may be some in it."""
    return EntryView.of(entry if person.sees_values else replace(entry, trace=None))


def steps_view(steps: list[Step]) -> StepsView:
    """Return what became of the entries of an action."""
    done = sum(isinstance(step, Moved) for step in steps)
    return StepsView(done=done, refused=len(steps) - done, steps=[StepView.of(step) for step in steps])
