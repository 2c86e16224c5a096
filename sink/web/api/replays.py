"""/replays: jobs that have many changes tried again, at a rate, and stop themselves when that does not help."""

from collections.abc import Callable
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from schemas.events import Decision
from sink.actions import Actor
from sink.desk.selection import read_cursor, write_cursor
from sink.desk.wire import Form, Times, VerdictView, moment, moment_or_none
from sink.job_actions import JobOrder, JobRefused, cancel_job, pause_job, resume_job, start_job
from sink.jobs import JobState
from sink.states import Verdict
from sink.store.job_items import JobItem, read_items
from sink.store.jobs import Job, job_key, read_job, read_jobs
from sink.store.store import Store
from sink.web.access.need import Operator, Viewer
from sink.web.access.person import Person
from sink.web.api.acting import actor_of, desk_of, etag
from sink.web.api.once import IdempotencyKey, OnceRoute
from sink.web.api.selecting import MOST_IDS, After, Limit, SelectionForm
from sink.web.api.strict import Value, Word
from sink.web.problem import ProblemError, documented, not_found
from sink.web.web import Web, WebDep

router = APIRouter(
    prefix="/replays", tags=["replays"], route_class=OnceRoute, responses=documented(401, 403, 422, 503)
)


class CountsView(BaseModel):
    """How many entries of a job are where; `sent` ones have no verdict yet."""

    sent: int
    resolved: int
    failed_again: int
    unconfirmed: int
    not_sent: int
    refused: int


class JobView(BaseModel):
    """One replay job."""

    id: str
    row_version: int
    actor: str
    via: str
    what: str = Field(description="Which entries were selected, in words.")
    decision: Decision
    corrected_fields: list[str]
    rate_per_s: int | None = Field(description="null: as fast as possible")
    canaries: int
    state: JobState
    note: str | None = Field(description="Why it is stopped or waits.")
    total: int
    handled: int = Field(description="How many were asked for or refused.")
    counts: CountsView
    created_at: Times
    finished_at: Times | None


class JobPageView(BaseModel):
    """A page of jobs, the newest first."""

    jobs: list[JobView]
    after: str | None = Field(description="Send it as `after` for the next page; null: there is none.")


class ItemView(BaseModel):
    """One entry of a job."""

    number: int
    entry_id: str
    replay_id: str | None
    refused: str | None = Field(description="Why it was not asked for, as a stable word.")
    why: str | None = Field(description="Why it was not asked for, for people.")
    verdict: Verdict | None
    code: str | None = Field(description="The code of the new failure.")


class ItemPageView(BaseModel):
    """A page of a job's entries, in their order."""

    items: list[ItemView]
    after: int | None = Field(description="Send it as `after` for the next page; null: there is none.")


class JobForm(SelectionForm):
    """The job to start."""

    decision: Decision = Field(
        default=Decision.RETRY, description="retry: try the change again; drop: give it up"
    )
    corrections: dict[Word, Value] | None = Field(
        default=None,
        description="Target fields with the values to write instead, for this one replay; for a few entries. "
        "Numbers with a fraction are sent as text.",
    )
    rate_per_s: int | None = Field(
        default=None, ge=1, le=100_000, description="Left out: as configured; null: as fast as possible."
    )
    canaries: int | None = Field(
        default=None, ge=0, le=1000, description="How many go first; left out: as configured."
    )


class VerdictsForm(Form):
    """The replays that are asked about."""

    replay_ids: Annotated[list[Word], Field(min_length=1, max_length=MOST_IDS)]


@router.get("")
def list_jobs(_person: Viewer, web: WebDep, limit: Limit = 50, after: After = None) -> JobPageView:
    """List replay jobs, the newest first."""
    start = None if after is None else read_cursor(after)
    with web.store.reading() as connection:
        page = read_jobs(connection, start, limit + 1)
    more = write_cursor(job_key(page[limit - 1])) if len(page) > limit else None
    return JobPageView(jobs=[_view(job) for job in page[:limit]], after=more)


@router.post("", status_code=201, responses=documented(409))
def start(form: JobForm, person: Operator, web: WebDep, _key: IdempotencyKey = None) -> JobView:
    """Start a replay job over entries by id or filter. The list is frozen now; the running sink works on it."""
    selection = form.selection()
    ids = form.ids if form.ids is not None else desk_of(web, person).choose(selection).ids
    usual = web.config.sink.replay
    corrections = {field: orjson.dumps(value).decode() for field, value in (form.corrections or {}).items()}
    order = JobOrder(
        decision=form.decision,
        corrections=corrections or None,
        rate_per_s=form.rate_per_s if "rate_per_s" in form.model_fields_set else usual.rate_per_s,
        canaries=usual.canaries if form.canaries is None else form.canaries,
        what=selection.in_words(),
        named=form.ids is not None,
    )
    return _told(start_job(web.store, ids, order, actor_of(person)))


@router.post("/verdicts")
def read_verdicts(form: VerdictsForm, person: Viewer, web: WebDep) -> list[VerdictView]:
    """Say how replays ended; those without an answer yet are left out."""
    found = desk_of(web, person).verdicts(form.replay_ids)
    return [
        VerdictView(replay_id=replay_id, verdict=verdict, code=code)
        for replay_id, (verdict, code) in found.items()
    ]


@router.get("/{job_id}", responses=documented(404))
def show_job(job_id: str, _person: Viewer, web: WebDep, response: Response) -> JobView:
    """Show one job."""
    found = _job(web, job_id)
    response.headers["ETag"] = etag(found.row_version)
    return _view(found)


@router.get("/{job_id}/items", responses=documented(404))
def list_items(
    job_id: str,
    _person: Viewer,
    web: WebDep,
    limit: Limit = 50,
    after: Annotated[int | None, Query(ge=0, lt=1 << 62)] = None,
) -> ItemPageView:
    """List the entries of a job, in their order, with what became of each."""
    _job(web, job_id)
    with web.store.reading() as connection:
        page = read_items(connection, job_id, after, limit + 1)
    more = page[limit - 1].number if len(page) > limit else None
    return ItemPageView(items=[_item(each) for each in page[:limit]], after=more)


@router.post("/{job_id}/pause", responses=documented(404, 409))
def pause(job_id: str, person: Operator, web: WebDep, _key: IdempotencyKey = None) -> JobView:
    """Have a job ask for no more entries until it is resumed; what was asked for goes on."""
    return _step(web, job_id, person, pause_job)


@router.post("/{job_id}/resume", responses=documented(404, 409))
def resume(job_id: str, person: Operator, web: WebDep, _key: IdempotencyKey = None) -> JobView:
    """Have a paused or stopped job go on; one that its canaries stopped goes on without them."""
    return _step(web, job_id, person, resume_job)


@router.post("/{job_id}/cancel", responses=documented(404, 409))
def cancel(job_id: str, person: Operator, web: WebDep, _key: IdempotencyKey = None) -> JobView:
    """Have a job ask for no more entries for good; what was asked for goes on."""
    return _step(web, job_id, person, cancel_job)


def _step(
    web: Web, job_id: str, person: Person, take: Callable[[Store, str, Actor], Job | JobRefused]
) -> JobView:
    _job(web, job_id)
    return _told(take(web.store, job_id, actor_of(person)))


def _job(web: Web, job_id: str) -> Job:
    with web.store.reading() as connection:
        found = read_job(connection, job_id)
    if found is None:
        raise not_found("replay job")
    return found


def _told(job: Job | JobRefused) -> JobView:
    if isinstance(job, JobRefused):
        raise ProblemError(409, "refused", f"This cannot be done: {job.reason}.")
    return _view(job)


def _view(job: Job) -> JobView:
    return JobView(
        id=job.id,
        row_version=job.row_version,
        actor=job.actor,
        via=job.via,
        what=job.what,
        decision=job.decision,
        corrected_fields=list(job.corrected_fields),
        rate_per_s=job.rate_per_s,
        canaries=job.canaries,
        state=job.state,
        note=job.note,
        total=job.total,
        handled=job.handled,
        counts=CountsView(**{each: getattr(job.counts, each) for each in CountsView.model_fields}),
        created_at=moment(job.created_us),
        finished_at=moment_or_none(job.finished_us),
    )


def _item(item: JobItem) -> ItemView:
    return ItemView(
        number=item.number,
        entry_id=item.entry_id,
        replay_id=item.replay_id,
        refused=None if item.refusal is None else item.refusal.name.lower(),
        why=None if item.refusal is None else str(item.refusal),
        verdict=item.verdict,
        code=item.code,
    )
