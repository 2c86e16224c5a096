"""Replay jobs at work: asks for their entries portion by portion, sends what was asked for, and counts what came of it.

A portion is one transaction: its entries move, and the job knows so, or nothing happened. So a sink that dies loses and
doubles nothing, and another one goes on where it was.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from schemas.events import Decision
from sink.job_actions import record_outcome
from sink.jobs import Canaries, Counts, Go, JobState, Pace, Rest, Stop, next_step, paced, spent
from sink.states import Action
from sink.store import jobs, transitions
from sink.store.jobs import NOTHING, Job, Settled
from sink.store.store import Store
from sink.store.transitions import Request, Step

_PORTION = transitions.CHUNK
# a run ends after this time, so that other work of its thread and the end of the process need not wait
_RUN_S = 1.0
_COUNT_EVERY_US = 1_000_000
# counting may have a tenth of the time, and half of that all entries of a job anew: an answer may come after the time-out
_COUNT_SHARE = 10
_RECOUNT_SHARE = 20
_WAIT_US = 1_000_000


class Outbox(Protocol):
    """Who sends requests, see `sink.sending.Sending`."""

    def send(self) -> int:
        """Send some of the requests that wait; returns how many were sent."""

    def may_claim(self) -> bool:
        """Whether requests may be claimed as they are asked for."""

    def send_claimed(self, replay_ids: Sequence[str], claimed_us: int) -> None:
        """Send requests that were claimed as they were asked for."""


@dataclass(slots=True)
class _Course:
    """What a sink remembers of a job from run to run; another one can do without."""

    pace: Pace | None = None
    count_at_us: int = 0
    settled: Settled = NOTHING
    recount_at_us: int = 0
    wait_until_us: int = 0


@dataclass(frozen=True, slots=True)
class JobRunner:
    """Works on the jobs of a store; `sink` is the name under which it holds them, `clock_us` tells the time."""

    store: Store
    outbox: Outbox
    sink: str
    clock_us: Callable[[], int]
    courses: dict[str, _Course] = field(default_factory=dict)

    def run(self) -> None:
        """Ask for what may go now and send what was asked for; raises what StoreAway lists when the store is away."""
        until = time.monotonic() + _RUN_S
        more = True
        while more and time.monotonic() < until:
            with self.store.reading() as connection:
                unfinished = jobs.read_unfinished(connection)
            for gone in self.courses.keys() - {job.id for job in unfinished}:
                del self.courses[gone]
            asked = sum([self._work(job) for job in unfinished])
            sent = self.outbox.send()
            more = asked >= _PORTION or sent > 0

    def _work(self, job: Job) -> int:
        """Do what is due for a job; returns for how many entries it has asked."""
        course = self.courses.setdefault(job.id, _Course())
        now_us = self.clock_us()
        if now_us >= course.count_at_us:
            counted = self._count(job, course, now_us)
            if counted is None:
                return 0
            job = counted
        if job.state is not JobState.RUNNING or now_us < course.wait_until_us:
            return 0
        course.pace = paced(course.pace, job.rate_per_s, _PORTION, now_us)
        step = next_step(
            job.waiting, job.counts.sent, job.canaries, self._canaries(job), int(course.pace.allowed)
        )
        match step:
            case Rest():
                return 0
            case Stop(note=note):
                self._stop(job, note)
                return 0
            case Go(at_most=at_most):
                return self._ask(job, course, min(at_most, _PORTION))

    def _canaries(self, job: Job) -> Canaries:
        if job.canaries == 0:
            return Canaries(0, 0, 0)
        with self.store.reading() as connection:
            return jobs.read_canaries(connection, job)

    def _ask(self, job: Job, course: _Course, at_most: int) -> int:
        now_us = self.clock_us()
        with self.store.writing() as connection:
            held = jobs.lease(connection, job.id, self.sink, now_us)
            if held is None or held.handled != job.handled:
                course.wait_until_us = now_us + _WAIT_US
                return 0
            following = jobs.next_items(connection, held, at_most, now_us)
            if not following.items:
                course.wait_until_us = now_us + _WAIT_US
                if following.note != held.note:
                    jobs.write_note(connection, held, following.note)
                return 0
            # corrected values come to their requests when these are claimed
            claims = not held.corrected_fields and self.outbox.may_claim()
            request = Request(
                held.actor,
                now_us,
                {item.entry_id: item.replay_id for item in following.items}.__getitem__,
                claims=claims,
                reason=held.what,
                named=held.named,
            )
            ids = [item.entry_id for item in following.items]
            if held.decision is Decision.DROP:
                steps = transitions.close_by_hand(connection, ids, Action.DISCARD, request)
            else:
                steps = transitions.request_replays(connection, ids, request)
            jobs.write_steps(connection, held, following.items, steps)
        if claims:
            self.outbox.send_claimed(_requests(steps), now_us)
        if course.pace is not None:
            course.pace = spent(course.pace, _gone(steps))
        return len(steps)

    def _count(self, job: Job, course: _Course, now_us: int) -> Job | None:
        """Count anew what became of a job's entries; None when the job is over or changed in this moment."""
        if job.counts.sent == 0 and not jobs.is_over(job, job.counts):
            return job
        counts = self._counted(job, course, now_us)
        if counts == job.counts and not jobs.is_over(job, counts):
            return job
        with self.store.writing() as connection:
            counted = jobs.write_counts(connection, job, counts, now_us)
            if counted is None:
                course.count_at_us = 0
                return None
            if counted.finished_us is not None:
                record_outcome(connection, counted, now_us)
        if counted.finished_us is None:
            return counted
        structlog.get_logger().info(
            "replay job ends",
            job=job.id,
            state=str(counted.state),
            asked=counts.asked,
            refused=counts.refused,
        )
        return None

    def _counted(self, job: Job, course: _Course, now_us: int) -> Counts:
        recounts = now_us >= course.recount_at_us
        known = NOTHING if recounts else course.settled
        with self.store.reading() as connection:
            course.settled, counts = jobs.read_counts(connection, job, known)
            if not recounts and jobs.is_over(job, counts):
                course.settled, counts = jobs.read_counts(connection, job)
        took_us = self.clock_us() - now_us
        course.count_at_us = now_us + max(_COUNT_EVERY_US, _COUNT_SHARE * took_us)
        if recounts:
            course.recount_at_us = now_us + _RECOUNT_SHARE * took_us
        return counts

    def _stop(self, job: Job, note: str) -> None:
        with self.store.writing() as connection:
            stopped = jobs.stop(connection, job, note)
        if stopped:
            structlog.get_logger().warning("replay job stopped itself", job=job.id, reason=note)


def _requests(steps: list[Step]) -> list[str]:
    moved = (step.replay_id for step in steps if isinstance(step, transitions.Moved))
    return [replay_id for replay_id in moved if replay_id is not None]


def _gone(steps: list[Step]) -> int:
    """Return how many entries count for the rate: those that were refused cost the worker nothing."""
    return sum(isinstance(step, transitions.Moved) for step in steps)
