"""What a person can have done with replay jobs, the same from every surface; each action is written to the audit log."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from schemas.events import Decision
from sink.actions import Actor, now_us
from sink.jobs import CORRECTED_AT_MOST, Counts, JobState, JobStep, why_not
from sink.states import Action
from sink.store import audit, jobs
from sink.store.audit import DONE, REFUSED, Deed
from sink.store.jobs import Job, any_foreign, any_there
from sink.store.progress import paused_among
from sink.store.store import Store

START = "start job"
_CHUNK = 5_000
_LONGEST_WHAT = 300


@dataclass(frozen=True, slots=True)
class JobOrder:
    """What a job shall do; `what` says in words which entries were selected.

    `corrections` are target fields with the JSON text of the value to write instead, for a few entries at most.
    `rate_per_s` None is as fast as possible. `named`: a person named the entries by id, parked ones too.
    """

    decision: Decision
    corrections: Mapping[str, str] | None
    rate_per_s: int | None
    canaries: int
    what: str
    named: bool = False


@dataclass(frozen=True, slots=True)
class JobRefused:
    """The job was not started, or stays as it is; `reason` is a sentence for a person."""

    reason: str


def start_job(store: Store, ids: Sequence[str], order: JobOrder, actor: Actor) -> Job | JobRefused:
    """Start a job over these entries, in their order; the running sink works on it. All of it is written, or nothing."""
    listed = list(dict.fromkeys(ids))
    reason = _refusal(listed, order)
    with store.writing() as connection:
        reason = reason or _hindrance(connection, listed, order)
        what = _what(order)
        if reason is not None:
            deed = Deed(actor.name, actor.via, START, what, len(listed), REFUSED)
            audit.record(connection, deed, now_us())
            return JobRefused(reason)
        new = _new_job(listed, order, actor)
        jobs.create(connection, new, listed, order.corrections)
        deed = Deed(actor.name, actor.via, START, f"{new.id}: {what}", new.total, DONE)
        audit.record(connection, deed, new.created_us)
    return new


def pause_job(store: Store, job_id: str, actor: Actor) -> Job | JobRefused:
    """Have a job ask for no more entries until it is resumed; what was asked for goes on."""
    return _take_step(store, job_id, JobStep.PAUSE, actor)


def resume_job(store: Store, job_id: str, actor: Actor) -> Job | JobRefused:
    """Have a paused job go on; one that its canaries stopped goes on without them."""
    return _take_step(store, job_id, JobStep.RESUME, actor)


def cancel_job(store: Store, job_id: str, actor: Actor) -> Job | JobRefused:
    """Have a job ask for no more entries for good; what was asked for goes on."""
    return _take_step(store, job_id, JobStep.CANCEL, actor)


def record_outcome(connection: Connection, over: Job, at_us: int) -> None:
    """Write down for how many entries a job has asked, and for how many it was refused."""
    action = Action.DISCARD if over.decision is Decision.DROP else Action.REPLAY
    outcomes = ((DONE, over.handled - over.counts.refused), (REFUSED, over.counts.refused))
    for outcome, number in outcomes:
        if number:
            deed = Deed(over.actor, over.via, action, f"job {over.id}", number, outcome)
            audit.record(connection, deed, at_us)


def _refusal(ids: Sequence[str], order: JobOrder) -> str | None:
    if not ids:
        return "no entry is selected"
    if order.rate_per_s is not None and order.rate_per_s < 1:
        return "the rate must be at least 1 entry a second"
    if order.canaries < 0:
        return "the number of entries that go first cannot be negative"
    return _wrong_correction(len(ids), order) if order.corrections else None


def _wrong_correction(entries: int, order: JobOrder) -> str | None:
    if order.decision is not Decision.RETRY:
        return "corrected values are for replays only"
    if entries > CORRECTED_AT_MOST:
        return f"corrected values are for {CORRECTED_AT_MOST} entries at most, not for {entries}"
    if not all(order.corrections or ()):
        return "a corrected value needs the name of its target field"
    return None


def _hindrance(connection: Connection, ids: Sequence[str], order: JobOrder) -> str | None:
    if not any_there(connection, ids):
        return "there is no such entry"
    return _paused(connection, ids, order.decision) or _foreign(connection, ids, order)


def _paused(connection: Connection, ids: Sequence[str], decision: Decision) -> str | None:
    if decision is Decision.DROP:
        return None
    at_us = now_us()
    for start in range(0, len(ids), _CHUNK):
        paused = paused_among(connection, ids[start : start + _CHUNK], at_us)
        if paused is not None:
            mapping, code = paused
            return f"the target app of {mapping} is paused ({code}); replay when the app is back"
    return None


def _foreign(connection: Connection, ids: Sequence[str], order: JobOrder) -> str | None:
    if not order.corrections or not any_foreign(connection, ids):
        return None
    return "a dead letter of another program goes back as it is; its values cannot be corrected"


def _new_job(ids: Sequence[str], order: JobOrder, actor: Actor) -> Job:
    # canaries answer for the others: a few corrected entries, and those given up, have none
    plain = order.decision is Decision.RETRY and not order.corrections
    return Job(
        id=uuid.uuid4().hex[:16],
        actor=actor.name,
        via=actor.via,
        what=order.what[:_LONGEST_WHAT],
        decision=order.decision,
        corrected_fields=tuple(sorted(order.corrections or ())),
        rate_per_s=order.rate_per_s,
        canaries=order.canaries if plain else 0,
        named=order.named,
        state=JobState.RUNNING,
        note=None,
        total=len(ids),
        handled=0,
        counts=Counts(),
        created_us=now_us(),
        finished_us=None,
        row_version=0,
    )


def _what(order: JobOrder) -> str:
    fields = f", corrected: {', '.join(sorted(order.corrections))}" if order.corrections else ""
    return f"{order.what[:_LONGEST_WHAT]}{fields}"


def _take_step(store: Store, job_id: str, step: JobStep, actor: Actor) -> Job | JobRefused:
    with store.writing() as connection:
        changed = jobs.take_step(connection, job_id, step)
        outcome = REFUSED if changed is None else DONE
        deed = Deed(actor.name, actor.via, f"{step} job", job_id, 1, outcome)
        audit.record(connection, deed, now_us())
        if changed is not None:
            return changed
        found = jobs.read_job(connection, job_id)
    if found is None:
        return JobRefused(f'there is no job "{job_id}"')
    return JobRefused(why_not(step, found.state) or "it changed in this moment; look at it again")
