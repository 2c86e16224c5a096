"""Steps 4 to 7 for one round of one mapping: decide, apply, remember, report, in the order that loses nothing.

    lock the open failures of these records
      decide, apply
      remember new failures        (before they are reported: a later success must know what to resolve)
      report, wait for the broker
      forget resolved failures     (after they are reported: else a crash would leave their entries open for ever)
    unlock; only then may offsets be committed

A crash between any two lines is made good by delivering the same changes again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from schemas.catalogue import Scope, catalogue
from schemas.events import Event, Outcome, Resolution, SyncFailed, SyncResolved, failure_id
from worker.apply import Applied, Jitter, Wait, apply
from worker.batch import Change
from worker.connectors.protocol import Connector, Refused
from worker.decide import OpenFailure, Verdict, decide
from worker.fault import Fault
from worker.message import Message, position_of
from worker.plan import MappingPlan
from worker.report import Reporter, failed_event
from worker.state.store import StateStore
from worker.translate import Broken, Candidate, record_of


class Effects(Protocol):
    """Everything through which settling touches the world."""

    @property
    def state(self) -> StateStore:
        """The state store."""

    @property
    def reporter(self) -> Reporter:
        """Who reports."""

    @property
    def now(self) -> Callable[[], datetime]:
        """The clock."""

    @property
    def wait(self) -> Wait:
        """Waits for some seconds, or less when the worker is to stop."""

    @property
    def jitter(self) -> Jitter:
        """A number between 0 and 1."""

    def connector_of(self, mapping: str) -> Connector:
        """Return the connector to a mapping's target app."""

    def send(self, events: Sequence[Event]) -> None:
        """Report events; returns when the broker has acknowledged them all."""

    def trips(self, changes: int, self_healing: int) -> bool:
        """Whether so many failures that heal themselves mean that the whole app is broken."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a round.

    `deferred` failed for want of another record and get a second chance in this batch. `full` found no room behind their
    records' failures: their partition must wait. `freed` are records without a failure that have parked changes: it is their turn.
    """

    counts: Mapping[Outcome, int] = field(default_factory=dict)
    failures: Sequence[SyncFailed] = ()
    deferred: Sequence[Change] = ()
    full: Sequence[Message] = ()
    freed: Sequence[str] = ()
    splits: int = 0
    retries: Mapping[str, int] = field(default_factory=dict)


def settle(
    mapping: MappingPlan,
    changes: Sequence[Change],
    effects: Effects,
    *,
    last_chance: bool,
    following: bool = False,
) -> Settled | Refused:
    """Settle changes of one mapping, no two of the same record; `following` when they are parked ones whose turn it is."""
    records = {record_of(each): each for each in changes}
    strict = mapping.order == "strict"
    with effects.state.lock(mapping.name, records, parked=strict) as locked:
        behind = frozenset[str]() if following else locked.parked
        verdicts = {
            record: decide(each, locked.failures.get(record), mapping.order, parked=record in behind)
            for record, each in records.items()
        }
        work = Round(mapping, records, verdicts, locked.failures)
        applied = _apply(mapping, [records[record] for record in work.having(Verdict.WRITE)], effects)
        if isinstance(applied, Refused):
            return applied
        settled = _remember_and_report(work, applied, effects, last_chance=last_chance)
    parked = work.having(Verdict.PARK) | locked.parked if strict and not following else set()
    failed = {failure.source.record_id for failure in settled.failures} | work.untouched_failures
    return replace(settled, freed=tuple(parked - failed))


@dataclass(frozen=True, slots=True)
class Round:
    """The changes of a round by record, what is to be done with each, and the failures that were open before."""

    mapping: MappingPlan
    records: Mapping[str, Change]
    verdicts: Mapping[str, Verdict]
    open_failures: Mapping[str, OpenFailure]

    def having(self, verdict: Verdict) -> set[str]:
        """Return the records with a verdict."""
        return {record for record, each in self.verdicts.items() if each is verdict}

    @property
    def untouched_failures(self) -> set[str]:
        """The open failures that this round neither tries again nor gives up."""
        return set(self.open_failures) - self.having(Verdict.WRITE) - self.having(Verdict.DROP)


def _remember_and_report(work: Round, applied: Applied, effects: Effects, *, last_chance: bool) -> Settled:
    mapping, now = work.mapping, effects.now()
    faulty, deferred = _second_chances(applied.faults, last_chance=last_chance)
    broken = [work.records[record] for record in work.having(Verdict.WRITE)]
    faulty += [(each, each.fault) for each in broken if isinstance(each, Broken)]
    failures = [_open_failure(mapping, each, fault, work.open_failures, now) for each, fault in faulty]
    effects.state.remember(failures)
    parked = [(record, work.records[record].message) for record in work.having(Verdict.PARK)]
    full = effects.state.park(mapping.name, parked)
    failed = [
        failed_event(mapping, each, fault, failure, now, effects.reporter)
        for (each, fault), failure in zip(faulty, failures, strict=True)
    ]
    unresolved = {failure.record_id for failure in failures} | {record_of(each) for each in deferred}
    over = (work.having(Verdict.WRITE) | work.having(Verdict.DROP)) - unresolved
    effects.send([*failed, *_answers(work, over, _only(applied.counts), now, effects.reporter)])
    effects.state.forget(
        mapping.name, [work.open_failures[each] for each in over if each in work.open_failures]
    )
    overtaken = [each for each in work.having(Verdict.SUPERSEDED) if work.records[each].replay is None]
    counts = {**applied.counts, Outcome.FAILED: len(failed), Outcome.SUPERSEDED: len(overtaken)}
    return Settled(counts, failed, deferred, full, (), applied.splits, applied.retries)


def _apply(mapping: MappingPlan, changes: Sequence[Change], effects: Effects) -> Applied | Refused:
    candidates = [each for each in changes if isinstance(each, Candidate)]
    if not candidates:
        return Applied({}, ())
    applied = apply(mapping, candidates, effects.connector_of(mapping.name), effects.wait, effects.jitter)
    if isinstance(applied, Applied):
        healing = [f for _, f in applied.faults if catalogue()[f.code].scope is Scope.SELF_HEALING]
        if effects.trips(len(candidates), len(healing)):
            return Refused(replace(healing[0], code="unavailable"))
    return applied


def _second_chances(
    faults: Iterable[tuple[Candidate, Fault]], *, last_chance: bool
) -> tuple[list[tuple[Change, Fault]], list[Change]]:
    """Return the faults that count, and the changes that only wait for another record of the same batch perhaps."""
    faulty: list[tuple[Change, Fault]] = []
    deferred: list[Change] = []
    for each, fault in faults:
        if not last_chance and catalogue()[fault.code].scope is Scope.DEPENDENCY:
            deferred.append(each)
        else:
            faulty.append((each, fault))
    return faulty, deferred


def _open_failure(
    mapping: MappingPlan,
    change: Change,
    fault: Fault,
    open_failures: Mapping[str, OpenFailure],
    now: datetime,
) -> OpenFailure:
    """Return a new failure's row; the same change delivered again keeps its attempt, a replayed one gets the next."""
    record, message = record_of(change), change.message
    known = open_failures.get(record)
    same = known is not None and (known.topic, known.partition, known.offset) == (
        message.topic,
        message.partition,
        message.offset,
    )
    attempt = known.attempt + (change.replay is not None) if known is not None and same else 1
    return OpenFailure(
        mapping=mapping.name,
        record_id=record,
        failure_id=failure_id(mapping.name, message.topic, message.partition, message.offset, attempt),
        code=fault.code,
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        attempt=attempt,
        first_failed_at=known.first_failed_at if known is not None else now,
    )


def _answers(
    work: Round, over: set[str], outcome: Outcome | None, now: datetime, reporter: Reporter
) -> list[Event]:
    """Return what is to be said of failures that are over and of replays that came too late."""
    answers: list[Event] = []
    for record, each in work.records.items():
        replay, failure, verdict = each.replay, work.open_failures.get(record), work.verdicts[record]
        if record in over and failure is not None:
            how, done, ended = _how(each, verdict), outcome, failure.failure_id
        elif replay is not None and verdict is Verdict.SUPERSEDED:
            how, done, ended = Resolution.SUPERSEDED, Outcome.SUPERSEDED, replay.failure_id
        else:
            continue
        answers.append(
            SyncResolved(
                failure_id=ended,
                mapping=work.mapping.name,
                direction=work.mapping.direction,
                record_id=record,
                how=how,
                outcome=None if verdict is Verdict.DROP else done,
                replay_id=replay.replay_id if replay is not None else None,
                position=position_of(each.message),
                resolved_at=now,
                worker=reporter.worker,
            )
        )
    return answers


def _how(change: Change, verdict: Verdict) -> Resolution:
    if verdict is Verdict.DROP:
        return Resolution.DROPPED
    if change.replay is None:
        return Resolution.SUPERSEDED
    return Resolution.RELEASED if change.replay.scheduled else Resolution.REPLAY


def _only(counts: Mapping[Outcome, int]) -> Outcome | None:
    """Return the one outcome that all had; None when there were several, as the database counts them together."""
    had = [outcome for outcome, count in counts.items() if count]
    return had[0] if len(had) == 1 else None
