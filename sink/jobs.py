"""Replay jobs: their states, and what may be asked for now. Pure.

A job works through a list of entries that was frozen when it was made. Its first entries are canaries: when half of them
or more fail, the job stops itself before it has done the same to all others.
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from enum import StrEnum
from types import MappingProxyType

from sink.states import Verdict

# so many requests wait for their verdicts at most: a slow worker is not asked faster than it answers
IN_FLIGHT_AT_MOST = 10_000
# an entry of which so many replays failed waits for a person to name it
PARKED_AFTER = 3
# corrected values are for entries that a person has looked at
CORRECTED_AT_MOST = 20
_SECOND_US = 1_000_000


class JobState(StrEnum):
    """Where a job stands; `stopped` by its canaries, `done` when every entry has its verdict."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    CANCELLED = "cancelled"
    DONE = "done"


class JobStep(StrEnum):
    """What a person can do with a job."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


STEPS: Mapping[JobStep, tuple[frozenset[JobState], JobState]] = MappingProxyType(
    {
        JobStep.PAUSE: (frozenset({JobState.RUNNING}), JobState.PAUSED),
        JobStep.RESUME: (frozenset({JobState.PAUSED, JobState.STOPPED}), JobState.RUNNING),
        JobStep.CANCEL: (
            frozenset({JobState.RUNNING, JobState.PAUSED, JobState.STOPPED}),
            JobState.CANCELLED,
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many entries of a job are where; `sent` ones have no verdict yet."""

    sent: int = 0
    resolved: int = 0
    failed_again: int = 0
    unconfirmed: int = 0
    not_sent: int = 0
    refused: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    @property
    def asked(self) -> int:
        """How many were asked for, whatever became of them."""
        return self.sent + self.resolved + self.failed_again + self.unconfirmed + self.not_sent


@dataclass(frozen=True, slots=True)
class Canaries:
    """The first entries that were asked for: how many, and how many of them ended well or badly."""

    asked: int
    good: int
    bad: int


@dataclass(frozen=True, slots=True)
class Pace:
    """How many entries may go at a moment, at a rate."""

    allowed: float
    at_us: int


@dataclass(frozen=True, slots=True)
class Go:
    """Ask for the next entries, so many at most."""

    at_most: int


@dataclass(frozen=True, slots=True)
class Rest:
    """There is nothing to ask for now."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The job stops itself; `note` says why."""

    note: str


def next_step(left: int, in_flight: int, wanted: int, canaries: Canaries, allowed: int) -> Go | Rest | Stop:
    """Return what a running job does now: `left` entries are yet to be asked for, `wanted` of the first are canaries."""
    if left == 0:
        return Rest()
    at_most = min(left, allowed, IN_FLIGHT_AT_MOST - in_flight)
    if wanted:
        if 2 * canaries.bad >= wanted:
            return Stop(f"{canaries.bad} of the first {wanted} entries failed")
        if canaries.asked < wanted:
            at_most = min(at_most, wanted - canaries.asked)
        elif 2 * canaries.good <= wanted:
            return Rest()
    return Go(at_most) if at_most > 0 else Rest()


def paced(before: Pace | None, rate_per_s: int | None, portion: int, now_us: int) -> Pace:
    """Return how many entries may go now: what a second brings at most, `portion` where there is no rate."""
    if rate_per_s is None:
        return Pace(portion, now_us)
    if before is None:
        return Pace(1.0, now_us)
    since_us = max(0, now_us - before.at_us)
    allowed = before.allowed + rate_per_s * since_us / _SECOND_US
    return Pace(min(allowed, max(1.0, float(rate_per_s))), now_us)


def spent(pace: Pace, number: int) -> Pace:
    """Return the pace after entries went."""
    return Pace(pace.allowed - number, pace.at_us)


def count_verdicts(verdicts: Mapping[Verdict | None, int], refused: int) -> Counts:
    """Return the counts from the number of replays by verdict; one that was overtaken or given up is over, as wanted."""
    good = (Verdict.RESOLVED, Verdict.SUPERSEDED, Verdict.DROPPED)
    return Counts(
        sent=verdicts.get(None, 0),
        resolved=sum(verdicts.get(verdict, 0) for verdict in good),
        failed_again=verdicts.get(Verdict.FAILED_AGAIN, 0),
        unconfirmed=verdicts.get(Verdict.UNCONFIRMED, 0),
        not_sent=verdicts.get(Verdict.NOT_SENT, 0),
        refused=refused,
    )


def judge(verdicts: Mapping[Verdict | None, int]) -> Canaries:
    """Return how the canaries did; only what was resolved or overtaken by something newer did well."""
    good = verdicts.get(Verdict.RESOLVED, 0) + verdicts.get(Verdict.SUPERSEDED, 0)
    asked = sum(verdicts.values())
    return Canaries(asked, good, asked - good - verdicts.get(None, 0))


def why_not(step: JobStep, state: JobState) -> str | None:
    """Return why a person cannot do this with a job, None where they can."""
    allowed, _ = STEPS[step]
    if state in allowed:
        return None
    words = {
        JobState.RUNNING: "is running",
        JobState.PAUSED: "is paused already",
        JobState.STOPPED: "has stopped itself",
        JobState.CANCELLED: "was cancelled",
        JobState.DONE: "is done",
    }
    return f"the job {words[state]}"
