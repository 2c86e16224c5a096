"""Replay jobs: made, worked on by one sink at a time, counted, stopped."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    delete,
    func,
    literal,
    or_,
    select,
    tuple_,
    update,
)

from schemas.events import Decision
from sink.batch import INSTEP
from sink.jobs import STEPS, Canaries, Counts, JobState, JobStep, count_verdicts, judge
from sink.states import Verdict
from sink.store import bulk
from sink.store.job_items import Item, insert_items, note_items, read_next
from sink.store.progress import paused_mappings
from sink.store.rows import clean
from sink.store.tables import entry, job, job_item, replay
from sink.store.transitions import Moved, Step

# after so long another sink works on the job
LEASE_US = 10_000_000
PAGE = 100


@dataclass(frozen=True, slots=True)
class Job:
    """One replay job; `handled` of its `total` entries, in their order, were asked for or refused.

    `counts` are at most a second or two behind. `note` says why it is stopped or waits. Times are microseconds since 1970.
    """

    id: str
    actor: str
    via: str
    what: str
    decision: Decision
    corrected_fields: tuple[str, ...]
    rate_per_s: int | None
    canaries: int
    named: bool
    state: JobState
    note: str | None
    total: int
    handled: int
    counts: Counts
    created_us: int
    finished_us: int | None
    row_version: int

    @property
    def waiting(self) -> int:
        """How many entries are yet to be asked for."""
        return self.total - self.handled


@dataclass(frozen=True, slots=True)
class Next:
    """The next entries of a job; `note` says why there are none now."""

    items: Sequence[Item]
    note: str | None


@dataclass(frozen=True, slots=True)
class Settled:
    """The first entries of a job, none of which waits for its answer, and what became of them."""

    up_to: int
    counts: Counts


NOTHING = Settled(0, Counts())
JobKey = tuple[int, str]


def create(
    connection: Connection, new: Job, ids: Sequence[str], corrections: Mapping[str, str] | None
) -> None:
    """Write a new job with its list of entries."""
    connection.execute(
        job.insert().values(
            id=new.id,
            actor=clean(new.actor),
            via=new.via,
            what=clean(new.what),
            decision=new.decision,
            corrections=None if corrections is None else _text(dict(corrections)),
            corrected_fields=_text(list(new.corrected_fields)) if new.corrected_fields else None,
            rate_per_s=new.rate_per_s,
            canaries=new.canaries,
            named=new.named,
            state=new.state,
            note=new.note,
            total=new.total,
            handled=new.handled,
            counts=_text(asdict(new.counts)),
            created_us=new.created_us,
            finished_us=new.finished_us,
            row_version=new.row_version,
            leased_by=None,
            leased_until_us=None,
        )
    )
    insert_items(connection, new.id, ids)


def read_jobs(connection: Connection, after: JobKey | None = None, limit: int = PAGE) -> list[Job]:
    """Return jobs, the newest first; `after` is `job_key` of the last job of the page before."""
    query = select(job).order_by(job.c.created_us.desc(), job.c.id.desc()).limit(limit)
    if after is not None:
        query = query.where(tuple_(job.c.created_us, job.c.id) < tuple_(literal(after[0]), literal(after[1])))
    return [_job(row) for row in connection.execute(query)]


def job_key(last: Job) -> JobKey:
    """Return where the page after this job begins."""
    return last.created_us, last.id


def read_job(connection: Connection, job_id: str) -> Job | None:
    """Return a job, None where there is none."""
    row = connection.execute(select(job).where(job.c.id == job_id)).one_or_none()
    return None if row is None else _job(row)


def find_jobs(connection: Connection, start: str, limit: int = 2) -> list[str]:
    """Return ids of jobs that begin with `start`."""
    within = and_(job.c.id >= start, job.c.id < start + "\U0010ffff")
    return list(connection.scalars(select(job.c.id).where(within).order_by(job.c.id).limit(limit)))


def read_unfinished(connection: Connection) -> list[Job]:
    """Return the jobs whose entries do not all have their verdicts, the oldest first."""
    query = select(job).where(job.c.finished_us.is_(None)).order_by(job.c.created_us, job.c.id)
    return [_job(row) for row in connection.execute(query)]


def any_there(connection: Connection, ids: Sequence[str]) -> bool:
    """Whether one of the entries exists."""
    mine = bulk.among(connection, entry.c.id, ids)
    return connection.execute(select(entry.c.id).where(mine).limit(1)).first() is not None


def any_foreign(connection: Connection, ids: Sequence[str]) -> bool:
    """Whether one of the entries is the dead letter of another program."""
    mine = (bulk.among(connection, entry.c.id, ids), entry.c.origin != INSTEP)
    return connection.execute(select(entry.c.id).where(*mine).limit(1)).first() is not None


def lease(connection: Connection, job_id: str, sink: str, now_us: int) -> Job | None:
    """Return a running job, locked and held by this sink for a while; None while another one holds it."""
    free = or_(
        job.c.leased_by.is_(None),
        job.c.leased_by == sink,
        job.c.leased_until_us < now_us,
    )
    statement = (
        update(job)
        .where(job.c.id == job_id, job.c.state == JobState.RUNNING, free)
        .values(leased_by=sink, leased_until_us=now_us + LEASE_US)
        .returning(*job.columns)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else _job(row)


def next_items(connection: Connection, of: Job, limit: int, now_us: int) -> Next:
    """Return the next entries of a job, up to the first one whose app is paused."""
    items = read_next(connection, of.id, of.handled, limit)
    paused = {} if of.decision is Decision.DROP else paused_mappings(connection, now_us)
    if not paused:
        return Next(items, None)
    mine = bulk.among(connection, entry.c.id, [item.entry_id for item in items])
    mappings = {
        row.id: row.mapping for row in connection.execute(select(entry.c.id, entry.c.mapping).where(mine))
    }
    for index, item in enumerate(items):
        mapping = mappings.get(item.entry_id)
        if mapping in paused:
            waits = f"waits: the target app of {mapping} is paused ({paused[mapping]})"
            return Next(items[:index], None if index else waits)
    return Next(items, None)


def write_steps(connection: Connection, of: Job, items: Sequence[Item], steps: Sequence[Step]) -> None:
    """Note what became of the next entries of a job: the replay of each stands there from the beginning, but for an older program's."""
    by_entry = {step.entry_id: step for step in steps}
    rows = []
    sent = refused = resolved = 0
    for item in items:
        step = by_entry[item.entry_id]
        moved = isinstance(step, Moved)
        replay_id = step.replay_id if isinstance(step, Moved) else None
        if replay_id is None or not item.noted:
            rows.append((item.number, replay_id, None if isinstance(step, Moved) else step.reason.name))
        refused += not moved
        sent += replay_id is not None
        resolved += moved and replay_id is None
    note_items(connection, of.id, rows)
    before = of.counts
    counts = asdict(before) | {
        "sent": before.sent + sent,
        "refused": before.refused + refused,
        "resolved": before.resolved + resolved,
    }
    changes = {"handled": job.c.handled + len(items), "counts": _text(counts), "note": None}
    connection.execute(
        update(job).where(job.c.id == of.id).values(**changes, row_version=job.c.row_version + 1)
    )


def read_canaries(connection: Connection, of: Job) -> Canaries:
    """Return how the first entries that were asked for did."""
    first = (
        select(job_item.c.replay_id)
        .where(job_item.c.job_id == of.id, job_item.c.number < of.handled, job_item.c.replay_id.is_not(None))
        .order_by(job_item.c.number)
        .limit(of.canaries)
        .subquery()
    )
    joined = first.outerjoin(replay, replay.c.id == first.c.replay_id)
    return judge(_verdicts(connection, select(replay.c.id, replay.c.verdict).select_from(joined)))


def read_counts(connection: Connection, of: Job, known: Settled = NOTHING) -> tuple[Settled, Counts]:
    """Return what became of the entries that were asked for or refused: of the first ones as it is known, of the others counted anew.

    Also, which of the first ones have all been settled by now, and how.
    """
    waiting = (
        select(func.min(job_item.c.number))
        .select_from(job_item.join(replay, replay.c.id == job_item.c.replay_id))
        .where(*_between(of, known.up_to, of.handled), replay.c.verdict.is_(None))
    )
    first = connection.scalar(waiting)
    up_to = of.handled if first is None else int(first)
    settled = Settled(up_to, known.counts + _count_between(connection, of, known.up_to, up_to))
    return settled, settled.counts + _count_between(connection, of, up_to, of.handled)


def is_over(of: Job, counts: Counts) -> bool:
    """Whether nothing is left to ask for or to hear."""
    return counts.sent == 0 and (of.handled == of.total or of.state is JobState.CANCELLED)


def write_counts(connection: Connection, of: Job, counts: Counts, now_us: int) -> Job | None:
    """Note the counts of a job, and that it is finished when nothing is left to ask or to hear; None if it changed meanwhile."""
    changes: dict[str, Any] = {"counts": _text(asdict(counts))}
    if is_over(of, counts):
        state = of.state if of.state is JobState.CANCELLED else JobState.DONE
        changes |= {"state": state, "finished_us": now_us, "corrections": None, "note": of.note}
    same = (job.c.id == of.id, job.c.row_version == of.row_version, job.c.finished_us.is_(None))
    statement = (
        update(job).where(*same).values(**changes, row_version=job.c.row_version + 1).returning(*job.columns)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else _job(row)


def write_note(connection: Connection, of: Job, note: str | None) -> None:
    """Say why a job waits."""
    connection.execute(
        update(job).where(job.c.id == of.id).values(note=note, row_version=job.c.row_version + 1)
    )


def stop(connection: Connection, of: Job, note: str) -> bool:
    """Stop a running job; False when a person was faster."""
    same = (job.c.id == of.id, job.c.state == JobState.RUNNING)
    stopped = update(job).where(*same).values(state=JobState.STOPPED, note=note, leased_by=None)
    return connection.execute(stopped.values(row_version=job.c.row_version + 1)).rowcount == 1


def take_step(connection: Connection, job_id: str, step: JobStep) -> Job | None:
    """Pause, resume or cancel a job; None where its state does not allow it. One that stopped itself goes on without canaries."""
    allowed, after = STEPS[step]
    states = sorted(allowed)
    values: dict[str, Any] = {"state": after, "note": None, "leased_by": None}
    if step is JobStep.RESUME:
        stopped = connection.scalar(select(job.c.state).where(job.c.id == job_id).with_for_update())
        if stopped == JobState.STOPPED:
            values["canaries"] = 0
    statement = (
        update(job)
        .where(job.c.id == job_id, job.c.state.in_(states))
        .values(**values, row_version=job.c.row_version + 1)
        .returning(*job.columns)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else _job(row)


def purge_jobs(connection: Connection, before_us: int, limit: int) -> int:
    """Delete the lists of jobs that ended before a time, then these jobs; returns how many rows."""
    old = select(job.c.id).where(job.c.finished_us < before_us)
    items = select(job_item.c.job_id, job_item.c.number).where(job_item.c.job_id.in_(old)).limit(limit)
    gone = connection.execute(
        delete(job_item).where(tuple_(job_item.c.job_id, job_item.c.number).in_(items))
    ).rowcount
    if gone < limit:
        gone += connection.execute(delete(job).where(job.c.id.in_(old.limit(limit - gone)))).rowcount
    return gone


def _between(of: Job, first: int, end: int) -> tuple[ColumnElement[bool], ...]:
    return job_item.c.job_id == of.id, job_item.c.number >= first, job_item.c.number < end


def _count_between(connection: Connection, of: Job, first: int, end: int) -> Counts:
    if first >= end:
        return Counts()
    mine = _between(of, first, end)
    asked = (*mine, job_item.c.replay_id.is_not(None))
    joined = job_item.outerjoin(replay, replay.c.id == job_item.c.replay_id)
    verdicts = _verdicts(connection, select(replay.c.id, replay.c.verdict).select_from(joined).where(*asked))
    refused = select(func.count()).where(*mine, job_item.c.refusal.is_not(None))
    # an app failure that was given up has nothing to ask a worker for
    silent = select(func.count()).where(*mine, job_item.c.replay_id.is_(None), job_item.c.refusal.is_(None))
    given_up = connection.scalar(silent) or 0
    verdicts[Verdict.DROPPED] = verdicts.get(Verdict.DROPPED, 0) + given_up
    return count_verdicts(verdicts, connection.scalar(refused) or 0)


def _verdicts(connection: Connection, query: Any) -> dict[Verdict | None, int]:
    found = query.subquery()
    # a replay that is gone aged out, or an older program cleared it with its entry: nobody will tell its verdict
    gone = found.c.id.is_(None)
    counted = connection.execute(
        select(found.c.verdict, gone, func.count()).group_by(found.c.verdict, gone)
    ).all()
    verdicts: dict[Verdict | None, int] = {}
    for verdict, is_gone, number in counted:
        known = None if verdict is None else Verdict(verdict)
        key = Verdict.UNCONFIRMED if is_gone else known
        verdicts[key] = verdicts.get(key, 0) + number
    return verdicts


def _job(row: Row[Any]) -> Job:
    values = row._mapping  # noqa: SLF001  public, in spite of its name; a row's `count` is a tuple's method
    return Job(
        id=values["id"],
        actor=values["actor"],
        via=values["via"],
        what=values["what"],
        decision=Decision(values["decision"]),
        corrected_fields=tuple(orjson.loads(values["corrected_fields"] or "[]")),
        rate_per_s=values["rate_per_s"],
        canaries=values["canaries"],
        named=values["named"],
        state=JobState(values["state"]),
        note=values["note"],
        total=values["total"],
        handled=values["handled"],
        counts=Counts(**orjson.loads(values["counts"])),
        created_us=values["created_us"],
        finished_us=values["finished_us"],
        row_version=values["row_version"],
    )


def _text(value: object) -> str:
    return clean(orjson.dumps(value).decode())
