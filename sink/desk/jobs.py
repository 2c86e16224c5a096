"""Replay jobs as a surface sees and orders them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.config.model import Config
from schemas.events import Decision
from sink.actions import Actor
from sink.desk.selection import Selection, WrongUse, read_cursor, write_cursor
from sink.job_actions import JobOrder, JobRefused, cancel_job, pause_job, resume_job, start_job
from sink.jobs import JobStep
from sink.store.job_items import JobItem, read_items
from sink.store.jobs import Job, find_jobs, job_key, read_job, read_jobs
from sink.store.store import Store

SHORTEST_ID = 4
_TAKE = {JobStep.PAUSE: pause_job, JobStep.RESUME: resume_job, JobStep.CANCEL: cancel_job}


@dataclass(frozen=True, slots=True)
class JobWish:
    """How a job shall go about it. `corrections` are JSON texts by target field.

    `rate_per_s` 0 is as fast as possible; it and `canaries` are as configured when None.
    """

    corrections: Mapping[str, str] | None = None
    rate_per_s: int | None = None
    canaries: int | None = None


@dataclass(frozen=True, slots=True)
class JobPage:
    """Jobs, the newest first, and where the next page begins; None: there is none."""

    jobs: list[Job]
    after: str | None


class JobDesk(Protocol):
    """Reads and orders jobs. Everything raises WrongUse for what makes no sense, UnreachableError when nobody answers."""

    def start(self, selection: Selection, ids: Sequence[str], wish: JobWish) -> Job | JobRefused:
        """Start a job over entries that a selection chose."""

    def list_jobs(self, *, limit: int, after: str | None) -> JobPage:
        """Return a page of jobs, the newest first."""

    def show(self, typed_id: str) -> Job | None:
        """Return one job, by an id of which the first digits suffice."""

    def items(self, job_id: str, *, after: int | None, limit: int) -> list[JobItem]:
        """Return entries of a job in their order, after the one of number `after`."""

    def take_step(self, job_id: str, step: JobStep) -> Job | JobRefused:
        """Pause, resume or cancel a job."""


class DirectJobs:
    """The jobs of a store, for one person; raises what StoreAway lists when the store is away."""

    def __init__(self, store: Store, actor: Actor, config: Config) -> None:
        self._store = store
        self._actor = actor
        self._usual = config.sink.replay

    def start(self, selection: Selection, ids: Sequence[str], wish: JobWish) -> Job | JobRefused:
        """Start a job over entries that a selection chose."""
        rate = self._usual.rate_per_s if wish.rate_per_s is None else wish.rate_per_s
        order = JobOrder(
            decision=Decision.RETRY,
            corrections=wish.corrections,
            rate_per_s=rate or None,
            canaries=self._usual.canaries if wish.canaries is None else wish.canaries,
            what=selection.in_words(),
            named=bool(selection.ids),
        )
        return start_job(self._store, ids, order, self._actor)

    def list_jobs(self, *, limit: int, after: str | None) -> JobPage:
        """Return a page of jobs, the newest first."""
        start = None if after is None else read_cursor(after)
        with self._store.reading() as connection:
            page = read_jobs(connection, start, limit + 1)
        return JobPage(page[:limit], write_cursor(job_key(page[limit - 1])) if len(page) > limit else None)

    def show(self, typed_id: str) -> Job | None:
        """Return one job, by an id of which the first digits suffice."""
        with self._store.reading() as connection:
            exact = read_job(connection, typed_id)
            if exact is not None or len(typed_id) < SHORTEST_ID:
                return exact
            found = find_jobs(connection, typed_id.strip().lower())
            if len(found) > 1:
                raise WrongUse(f'several jobs begin with "{typed_id}"; type more of the id')
            return read_job(connection, found[0]) if found else None

    def items(self, job_id: str, *, after: int | None, limit: int) -> list[JobItem]:
        """Return entries of a job in their order, after the one of number `after`."""
        with self._store.reading() as connection:
            return read_items(connection, job_id, after, limit)

    def take_step(self, job_id: str, step: JobStep) -> Job | JobRefused:
        """Pause, resume or cancel a job."""
        return _TAKE[step](self._store, job_id, self._actor)
