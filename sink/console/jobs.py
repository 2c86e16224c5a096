"""`replays list`, `show`, `pause`, `resume` and `cancel`; and `errors replay` when it makes a job."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sink.actions import now_us
from sink.console import shown
from sink.console.inert import inert
from sink.console.progress import progress_bar
from sink.desk.jobs import JobDesk
from sink.job_actions import JobRefused
from sink.jobs import JobState, JobStep
from sink.moment import to_text
from sink.states import Verdict
from sink.store.job_items import JobItem
from sink.store.jobs import PAGE, Job

_LOOK_AGAIN_S = 0.3
_SHOWN_AT_MOST = 20
_STYLES = {
    JobState.RUNNING: "cyan",
    JobState.PAUSED: "yellow",
    JobState.STOPPED: "red",
    JobState.CANCELLED: "dim",
    JobState.DONE: "green",
}
_DONE = {JobStep.PAUSE: "is paused", JobStep.RESUME: "goes on", JobStep.CANCEL: "is cancelled"}
_GOOD = (Verdict.RESOLVED, Verdict.SUPERSEDED)


@dataclass(frozen=True, slots=True)
class Follow:
    """How to follow a job: give up when nothing happens for so long, print JSON Lines."""

    patience_s: float
    as_json: bool


def list_jobs(desk: JobDesk, *, limit: int, after: str | None, as_json: bool) -> int:
    """Print a page of jobs, the newest first."""
    page = desk.list_jobs(limit=limit, after=after)
    if as_json:
        for job in page.jobs:
            typer.echo(shown.line(job_json(job)))
    elif page.jobs:
        _print_table(page.jobs)
    else:
        typer.echo("No replay job was started yet.")
    if page.after is not None:
        typer.echo(f"There are more: add --after {page.after}", err=True)
    return 0


def show_job(desk: JobDesk, typed_id: str, *, as_json: bool) -> int:
    """Print all that is known of one job, with the entries that did not go through; 1 when there is none."""
    job = desk.show(typed_id)
    if job is None:
        return _unknown(typed_id)
    if as_json:
        typer.echo(shown.line(job_json(job)))
        for item in _items(desk, job):
            typer.echo(shown.line(item_json(item)))
        return 0
    _print_job(job)
    _print_trouble(desk, job)
    return 0


def step_job(desk: JobDesk, typed_id: str, step: JobStep, *, as_json: bool) -> int:
    """Pause, resume or cancel a job; 1 when that is refused."""
    job = desk.show(typed_id)
    if job is None:
        return _unknown(typed_id)
    changed = desk.take_step(job.id, step)
    if isinstance(changed, JobRefused):
        return refused(changed)
    if as_json:
        typer.echo(shown.line(job_json(changed)))
    else:
        typer.echo(f"Replay job {changed.id} {_DONE[step]}.")
    return 0


def started(job: Job, *, as_json: bool) -> int:
    """Say that a job was started."""
    if as_json:
        typer.echo(shown.line(job_json(job)))
        return 0
    typer.echo(f"Replay job {job.id} asks for {entries(job.total)}, {_manner(job)}.")
    typer.echo(f"`instep replays show {job.id[: shown.SHORT_ID]}` tells how it goes.")
    return 0


def refused(answer: JobRefused) -> int:
    """Say why not; the exit code."""
    typer.echo(f"Refused: {answer.reason}.", err=True)
    return 1


def follow(desk: JobDesk, job: Job, how: Follow) -> int:
    """Show how a job goes until it ends, and what the workers said; 1 unless all entries are resolved."""
    last, quiet_since = job, time.monotonic()
    with progress_bar() as progress:
        task = progress.add_task("replaying", total=job.total)
        while not _has_ended(last) and time.monotonic() < quiet_since + how.patience_s:
            time.sleep(_LOOK_AGAIN_S)
            now = desk.show(job.id) or last
            if now.row_version != last.row_version:
                quiet_since = time.monotonic()
            last = now
            over = last.handled - last.counts.sent
            progress.update(task, completed=over, description=last.note or "replaying")
    if how.as_json:
        for item in _items(desk, last):
            typer.echo(shown.line(item_json(item)))
    else:
        _print_end(desk, last)
    return 0 if last.counts.resolved == last.total else 1


def entries(number: int) -> str:
    """Return a number of entries in words."""
    return f"{number} {'entry' if number == 1 else 'entries'}"


def job_json(job: Job) -> dict[str, Any]:
    """Return a job in the form of `--json`; times in ISO 8601, UTC."""
    counts = job.counts
    return {
        "id": job.id,
        "state": str(job.state),
        "note": job.note,
        "what": job.what,
        "actor": job.actor,
        "via": job.via,
        "decision": str(job.decision),
        "corrected_fields": list(job.corrected_fields),
        "rate_per_s": job.rate_per_s,
        "canaries": job.canaries,
        "total": job.total,
        "waiting": job.waiting,
        "sent": counts.sent,
        "resolved": counts.resolved,
        "failed_again": counts.failed_again,
        "unconfirmed": counts.unconfirmed,
        "not_sent": counts.not_sent,
        "refused": counts.refused,
        "created_at": to_text(job.created_us),
        "finished_at": to_text(job.finished_us),
    }


def item_json(item: JobItem) -> dict[str, Any]:
    """Return an entry of a job in the form of `--json`."""
    return {
        "id": item.entry_id,
        "replay_id": item.replay_id,
        "verdict": item.verdict,
        "code": item.code,
        "refused": None if item.refusal is None else item.refusal.name.lower(),
        "why": None if item.refusal is None else str(item.refusal),
    }


def _has_ended(job: Job) -> bool:
    return job.finished_us is not None or (job.state is JobState.STOPPED and job.counts.sent == 0)


def _items(desk: JobDesk, job: Job) -> Iterator[JobItem]:
    after: int | None = None
    while page := desk.items(job.id, after=after, limit=PAGE):
        yield from page
        after = page[-1].number


def _manner(job: Job) -> str:
    rate = "as fast as it can" if job.rate_per_s is None else f"{job.rate_per_s} a second"
    first = f", {min(job.canaries, job.total)} of them first, to see whether it helps" if job.canaries else ""
    fields = f", with corrected {', '.join(map(inert, job.corrected_fields))}" if job.corrected_fields else ""
    return f"{rate}{first}{fields}"


def _unknown(typed_id: str) -> int:
    typer.echo(f"There is no replay job {inert(typed_id)}.", err=True)
    return 1


def _print_table(jobs: list[Job]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("job", "state", "started", "entries", "resolved", "failed", "what"):
        table.add_column(name, overflow="fold" if name == "what" else "ellipsis")
    moment = now_us()
    for job in jobs:
        done = f"{job.handled - job.counts.sent}/{job.total}"
        failed = job.counts.failed_again + job.counts.unconfirmed + job.counts.not_sent + job.counts.refused
        table.add_row(
            job.id[: shown.SHORT_ID],
            Text(job.state, _STYLES[job.state]),
            shown.ago(job.created_us, moment),
            done,
            str(job.counts.resolved),
            str(failed),
            Text(inert(job.what)),
        )
    Console(highlight=False).print(table)


def _print_job(job: Job) -> None:
    moment = now_us()
    typer.echo(f"Replay job {job.id}: {job.state}{f' ({inert(job.note)})' if job.note else ''}")
    facts = {
        "entries": f"{job.total}: {inert(job.what)}",
        "how": _manner(job),
        "started": f"{shown.moment(job.created_us, moment)}  by {inert(job.actor)}",
        "ended": shown.moment(job.finished_us, moment),
        "waiting": str(job.waiting),
        "sent": str(job.counts.sent),
        **{name.replace("_", " "): str(number) for name, number in _ends(job) if number},
    }
    for name, value in facts.items():
        if value:
            typer.echo(f"  {name:<13} {value}")


def _ends(job: Job) -> list[tuple[str, int]]:
    counts = job.counts
    return [
        ("resolved", counts.resolved),
        ("failed_again", counts.failed_again),
        ("unconfirmed", counts.unconfirmed),
        ("not_sent", counts.not_sent),
        ("refused", counts.refused),
    ]


def _print_end(desk: JobDesk, job: Job) -> None:
    words = {
        "resolved": "resolved",
        "failed_again": "failed again",
        "unconfirmed": "not answered in time",
        "not_sent": "not sent",
        "refused": "refused",
    }
    for name, number in _ends(job):
        if number:
            typer.echo(f"{entries(number)} {words[name]}.")
    if job.state is JobState.STOPPED:
        typer.echo(f"The job stopped itself: {inert(job.note or '')}. {entries(job.waiting)} not asked for.")
        typer.echo(f"`instep replays resume {job.id[: shown.SHORT_ID]}` has it go on without canaries.")
    elif job.waiting or job.counts.sent:
        left = job.waiting + job.counts.sent
        note = f" It {inert(job.note)}." if job.note else ""
        running = "Do `instep sink` and a worker of this group run?"
        over = "The job was cancelled." if job.state is JobState.CANCELLED else f"{running} The job goes on."
        typer.echo(f"{entries(left)} without an answer yet.{note} {over}")
    _print_trouble(desk, job)


def _print_trouble(desk: JobDesk, job: Job) -> None:
    """Print the first entries that did not go through."""
    if job.handled - job.counts.sent == job.counts.resolved:
        return
    left = _SHOWN_AT_MOST
    for item in _items(desk, job):
        if item.refusal is not None:
            typer.echo(f"  {item.entry_id}: refused: {item.refusal}")
        elif item.verdict is not None and item.verdict not in _GOOD:
            code = f": {inert(item.code)}" if item.code else ""
            typer.echo(f"  {item.entry_id}: {item.verdict.replace('_', ' ')}{code}")
        else:
            continue
        left -= 1
        if left == 0:
            typer.echo("  …")
            return
