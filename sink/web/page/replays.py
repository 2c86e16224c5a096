"""The pages *Replays* and *Replay*: jobs with their numbers while they run, and what can be done with them."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from sink.actions import Actor
from sink.desk.selection import read_cursor, write_cursor
from sink.job_actions import JobRefused, cancel_job, pause_job, resume_job
from sink.jobs import JobStep
from sink.store.jobs import Job, job_key, read_job, read_jobs
from sink.store.store import Store
from sink.web.access.need import Operator, Viewer
from sink.web.access.person import Person
from sink.web.page.flash import Flash, go
from sink.web.page.jobs_shown import show_job, show_jobs
from sink.web.page.rendering import Page, PageDep

router = APIRouter()

_PAGE = 50
_STEPS: dict[JobStep, tuple[Callable[[Store, str, Actor], Job | JobRefused], str]] = {
    JobStep.PAUSE: (pause_job, "The replay is paused. What was sent already is still answered."),
    JobStep.RESUME: (resume_job, "The replay goes on."),
    JobStep.CANCEL: (cancel_job, "The replay is cancelled. What was not sent stays as it was."),
}


@router.get("/replays")
def replays(
    person: Viewer, page: PageDep, start: Annotated[str | None, Query(alias="after", max_length=100)] = None
) -> HTMLResponse:
    """Jobs, the newest first."""
    return _list(person, page, "replays.html", start)


@router.get("/replays/live")
def replays_live(
    person: Viewer, page: PageDep, start: Annotated[str | None, Query(alias="after", max_length=100)] = None
) -> HTMLResponse:
    """The part of the list that changes while jobs run."""
    return _list(person, page, "replays_live.html", start)


@router.get("/replays/{job_id}")
def replay(job_id: str, person: Viewer, page: PageDep) -> HTMLResponse:
    """One job: how far it is, what its first entries said, which ones failed again."""
    return _one(person, page, "replay.html", job_id)


@router.get("/replays/{job_id}/live")
def replay_live(job_id: str, person: Viewer, page: PageDep) -> HTMLResponse:
    """The part of a job's page that changes while it runs."""
    return _one(person, page, "replay_live.html", job_id)


@router.post("/replays/{job_id}/{step}")
def take_step(job_id: str, step: JobStep, person: Operator, page: PageDep) -> RedirectResponse:
    """Pause, resume or cancel a job."""
    act, said = _STEPS[step]
    answer = act(page.web.store, job_id, Actor(person.name, person.via))
    refused = isinstance(answer, JobRefused)
    text = f"Nothing was changed: {answer.reason}." if isinstance(answer, JobRefused) else said
    return go(
        f"/replays/{job_id}" if _is_id(job_id) else "/replays", Flash(text, "refused" if refused else "done")
    )


def _list(person: Person, page: Page, template: str, start: str | None) -> HTMLResponse:
    with page.web.store.reading() as connection:
        jobs = read_jobs(connection, None if start is None else read_cursor(start), _PAGE + 1)
    shown = show_jobs(jobs[:_PAGE], page.web.clock_us())
    last = write_cursor(job_key(shown[-1].job)) if len(jobs) > _PAGE else None
    return page.show(
        person,
        template,
        jobs=shown,
        moving=any(line.is_moving for line in shown),
        after=start,
        first=None if start is None else "/replays",
        next=None if last is None else f"/replays?after={last}",
    )


def _one(person: Person, page: Page, template: str, job_id: str) -> HTMLResponse:
    with page.web.store.reading() as connection:
        job = read_job(connection, job_id)
        if job is None:
            raise HTTPException(404, "There is no such replay. It may have been removed since.")
        shown = show_job(connection, job, page.web.clock_us())
    return page.show(person, template, job=job, shown=shown)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isalnum()
