"""Replay jobs as pages show them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, or_, select

from sink.jobs import STEPS, Canaries, JobState, JobStep
from sink.states import Refusal, Verdict
from sink.store.entries import Entry, Filter, read_page
from sink.store.jobs import Job, read_canaries
from sink.store.tables import job_item, replay
from sink.web.page.progress_bar import Part, parts

STATES = {
    JobState.RUNNING: ("running", "running"),
    JobState.PAUSED: ("paused", "paused"),
    JobState.STOPPED: ("bad", "stopped itself"),
    JobState.CANCELLED: ("off", "cancelled"),
    JobState.DONE: ("done", "done"),
}
"""The shape beside a job's state, and its word."""

_FAILED_AT_MOST = 50
_BAD = (Verdict.FAILED_AGAIN, Verdict.UNCONFIRMED, Verdict.NOT_SENT)
_WORDS = {
    Verdict.FAILED_AGAIN: ("bad", "failed again"),
    Verdict.UNCONFIRMED: ("unconfirmed", "not answered in time"),
    Verdict.NOT_SENT: ("off", "not sent"),
}
_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job in a list, with its bar. `rate_per_s` is what it really did, None before there is anything to tell."""

    job: Job
    dot: str
    state: str
    bar: tuple[Part, ...]
    steps: tuple[JobStep, ...]
    rate_per_s: float | None
    left_s: float | None

    @property
    def is_moving(self) -> bool:
        """Whether its numbers still change by themselves."""
        job = self.job
        waits = job.state in (JobState.RUNNING, JobState.CANCELLED) or job.counts.sent > 0
        return job.finished_us is None and waits


@dataclass(frozen=True, slots=True)
class Unresolved:
    """An entry of a job that was not resolved: `entry` is None where it is gone by now."""

    entry_id: str
    entry: Entry | None
    dot: str
    why: str
    code: str | None


@dataclass(frozen=True, slots=True)
class JobShown:
    """A job on its own page."""

    line: JobLine
    canaries: Canaries | None
    unresolved: tuple[Unresolved, ...]
    more_unresolved: int


def show_jobs(jobs: Sequence[Job], now_us: int) -> list[JobLine]:
    """Return jobs as lines of a list."""
    return [job_line(job, now_us) for job in jobs]


def show_job(connection: Connection, job: Job, now_us: int) -> JobShown:
    """Return a job with what its first entries said and which ones were not resolved."""
    counts = job.counts
    number = counts.failed_again + counts.unconfirmed + counts.not_sent + counts.refused
    unresolved = _unresolved(connection, job) if number else ()
    return JobShown(
        job_line(job, now_us),
        read_canaries(connection, job) if job.canaries else None,
        unresolved,
        max(0, number - len(unresolved)),
    )


def job_line(job: Job, now_us: int) -> JobLine:
    """Return a job with its bar, its rate, and how long it will take at that."""
    dot, state = STATES[job.state]
    seconds = ((job.finished_us or now_us) - job.created_us) / _SECOND_US
    # what it did before a pause says nothing of the rate
    told = job.handled > 0 and seconds >= 1 and job.state in (JobState.RUNNING, JobState.DONE)
    rate = job.handled / seconds if told else None
    running = job.state is JobState.RUNNING and rate is not None and job.waiting > 0
    return JobLine(
        job,
        dot,
        state,
        parts(job.counts, job.waiting),
        tuple(step for step, (allowed, _) in STEPS.items() if job.state in allowed),
        rate,
        job.waiting / rate if running and rate else None,
    )


def _unresolved(connection: Connection, job: Job) -> tuple[Unresolved, ...]:
    joined = job_item.outerjoin(replay, replay.c.id == job_item.c.replay_id)
    query = (
        select(job_item.c.entry_id, job_item.c.refusal, replay.c.verdict, replay.c.code)
        .select_from(joined)
        .where(job_item.c.job_id == job.id, job_item.c.number < job.handled)
        .where(or_(job_item.c.refusal.is_not(None), replay.c.verdict.in_([str(each) for each in _BAD])))
        .order_by(job_item.c.number)
        .limit(_FAILED_AT_MOST)
    )
    rows = connection.execute(query).all()
    ids = tuple(row.entry_id for row in rows)
    entries = read_page(connection, Filter(ids=ids), limit=_FAILED_AT_MOST) if ids else []
    by_id = {entry.id: entry for entry in entries}
    return tuple(
        Unresolved(row.entry_id, by_id.get(row.entry_id), *_why(row.refusal, row.verdict), row.code)
        for row in rows
    )


def _why(refusal: str | None, verdict: str | None) -> tuple[str, str]:
    if refusal is not None:
        return "off", f"not asked for: {Refusal[refusal]}"
    return _WORDS[Verdict(verdict)] if verdict is not None else ("off", "")
