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
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from schemas.catalogue import Scope, catalogue
from schemas.events import (
    Event,
    Outcome,
    ReplayRequest,
    Resolution,
    SyncFailed,
    SyncResolved,
    failure_id,
)
from worker.apply import Applied, Jitter, Wait, apply
from worker.batch import Change, carries
from worker.connectors.protocol import Connector, Refused
from worker.decide import OpenFailure, Verdict, decide, verdict_of
from worker.fault import Fault
from worker.message import Message, position_of
from worker.plan import MappingPlan
from worker.report import Reporter, failed_event
from worker.state.store import Locked, StateStore
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
        """Waits for some seconds; raises where the worker is told to let go."""

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
    `parks` where there are more parked changes than before, or fewer.
    """

    counts: Mapping[Outcome, int] = field(default_factory=dict)
    failures: Sequence[SyncFailed] = ()
    deferred: Sequence[Change] = ()
    full: Sequence[Message] = ()
    freed: Sequence[str] = ()
    parks: bool = False
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
    with _lock(mapping, changes, effects.state) as locked:
        # the lock may have come late: what was told to let go meanwhile writes no more
        effects.wait(0)
        work = _judge(mapping, changes, locked, frozenset() if following else locked.parked)
        applied = _apply(mapping, work.having(Verdict.WRITE), effects)
        if isinstance(applied, Refused):
            return applied
        settled = _remember_and_report(work, applied, effects, last_chance=last_chance)
    return replace(settled, freed=()) if following else settled


def _lock(
    mapping: MappingPlan, changes: Sequence[Change], state: StateStore
) -> AbstractContextManager[Locked]:
    requests = [each.replay for each in changes if each.replay is not None]
    if len(requests) == len(changes):
        return state.lock_replayed(mapping.name, requests)
    return state.lock(mapping.name, map(record_of, changes))


@dataclass(frozen=True, slots=True)
class Round:
    """The changes of a round by what is to be done with them, and what was open of their records before."""

    mapping: MappingPlan
    verdicts: Mapping[Verdict, Sequence[Change]]
    locked: Locked

    def having(self, verdict: Verdict) -> Sequence[Change]:
        """Return the changes with a verdict."""
        return self.verdicts.get(verdict, ())


def _judge(mapping: MappingPlan, changes: Sequence[Change], locked: Locked, behind: frozenset[str]) -> Round:
    """Decide on each change; nothing has to be asked where nothing is open and nothing replayed, as most of the time."""
    if not locked.failures and not behind and all(each.replay is None for each in changes):
        return Round(mapping, {Verdict.WRITE: changes}, locked)
    verdicts: dict[Verdict, list[Change]] = {}
    for each in changes:
        record = record_of(each)
        if each.replay is not None and record in locked.confirmed:
            verdict = verdict_of(each.replay)
        else:
            verdict = decide(each, locked.failures.get(record), mapping.order, parked=record in behind)
        verdicts.setdefault(verdict, []).append(each)
    return Round(mapping, verdicts, locked)


def _overtaken(work: Round, deferred: Sequence[Change]) -> list[str]:
    """Return records whose parked changes a later one takes the place of, written or failed: it carries all that they do."""
    if not work.locked.parked or work.mapping.order == "strict":
        return []
    waiting = {record_of(each) for each in deferred}
    overtaken = []
    for each in work.having(Verdict.WRITE):
        record = record_of(each)
        failure = work.locked.failures.get(record)
        later = each.replay is None and failure is not None and not _is_at(failure, each.message)
        if later and record in work.locked.parked and record not in waiting:
            overtaken.append(record)
    return overtaken


def _freed(work: Round, failures: Sequence[OpenFailure], overtaken: Sequence[str]) -> tuple[str, ...]:
    """Return the records without a failure that have parked changes."""
    parked = {record_of(each) for each in work.having(Verdict.PARK)} | work.locked.parked.difference(
        overtaken
    )
    if not parked:
        return ()
    tried = {record_of(each) for verdict in (Verdict.WRITE, Verdict.DROP) for each in work.having(verdict)}
    failed = {failure.record_id for failure in failures} | (set(work.locked.failures) - tried)
    return tuple(parked - failed)


def _widened(work: Round) -> list[OpenFailure]:
    """Return failures that carry more than before, as what is parked behind them now counts too."""
    widened = []
    for each in work.having(Verdict.PARK):
        failure = work.locked.failures.get(record_of(each))
        if failure is not None and not carries(each) <= failure.carries:
            widened.append(failure._replace(carries=failure.carries | carries(each)))
    return widened


def _remember_and_report(work: Round, applied: Applied, effects: Effects, *, last_chance: bool) -> Settled:
    mapping, now = work.mapping, effects.now()
    faulty, deferred = _second_chances(applied.faults, last_chance=last_chance)
    faulty += [(each, each.fault) for each in work.having(Verdict.WRITE) if isinstance(each, Broken)]
    if faulty or deferred:
        work = _kept(work, effects.state)
    failures = [_open_failure(work, each, fault, now) for each, fault in faulty]
    overtaken = _overtaken(work, deferred)
    effects.state.drop_parked(mapping.name, overtaken)
    effects.state.remember([*failures, *_widened(work)])
    full = effects.state.park(
        mapping.name, [(record_of(each), each.message) for each in work.having(Verdict.PARK)]
    )
    failed = [
        failed_event(mapping, each, fault, failure, now, effects.reporter)
        for (each, fault), failure in zip(faulty, failures, strict=True)
    ]
    unresolved = {failure.record_id for failure in failures} | {record_of(each) for each in deferred}
    over = _over(work, unresolved)
    effects.send([*failed, *_answers(work, over, _only(applied.counts), now, effects.reporter)])
    _forget(work, over, effects.state)
    # a replay that does not write is a change that is counted already
    superseded = sum(each.replay is None for each in work.having(Verdict.SUPERSEDED))
    new = sum(each.replay is None for each, _ in faulty)
    counts = {**applied.counts, Outcome.FAILED: new, Outcome.SUPERSEDED: superseded}
    return Settled(
        counts=counts,
        failures=failed,
        deferred=deferred,
        full=full,
        freed=_freed(work, failures, overtaken),
        parks=bool(overtaken or work.having(Verdict.PARK)),
        splits=applied.splits,
        retries=applied.retries,
    )


def _kept(work: Round, state: StateStore) -> Round:
    """Return a round of which no failure is confirmed any more: all are read, as some of them are to be followed by others."""
    work.locked.keep()
    read = state.open_failures(work.mapping.name, work.locked.confirmed)
    return replace(work, locked=Locked({**work.locked.failures, **read}, work.locked.parked))


def _forget(work: Round, over: Sequence[tuple[Change, str, Verdict]], state: StateStore) -> None:
    """Forget the failures that are over; those that are confirmed all are."""
    confirmed = work.locked.confirmed
    others = {record: id_ for each, id_, _ in over if (record := record_of(each)) not in confirmed}
    state.forget(work.mapping.name, others)
    work.locked.forget()


def _over(work: Round, unresolved: set[str]) -> list[tuple[Change, str, Verdict]]:
    """Return the changes that ended an open failure, with its id and how."""
    if not work.locked.failures and not work.locked.confirmed:
        return []
    over: list[tuple[Change, str, Verdict]] = []
    for verdict in (Verdict.WRITE, Verdict.DROP):
        for each in work.having(verdict):
            record = record_of(each)
            if record in unresolved:
                continue
            if each.replay is not None and record in work.locked.confirmed:
                over.append((each, each.replay.failure_id, verdict))
            elif (failure := work.locked.failures.get(record)) is not None:
                over.append((each, failure.failure_id, verdict))
    return over


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


def _open_failure(work: Round, change: Change, fault: Fault, now: datetime) -> OpenFailure:
    """Return a new failure's row; the same change, or the same replay, delivered again keeps its attempt."""
    mapping, record, message = work.mapping, record_of(change), change.message
    before = work.locked.failures.get(record)
    known = before if before is not None and _is_at(before, message) else None
    if known is not None:
        attempt = _attempt(known, change.replay)
    else:
        # at the same place of a topic that was made anew stands another change, whose failure needs another id
        attempt = 1 + (before.attempt if before is not None and before.offset == message.offset else 0)
    return OpenFailure(
        mapping=mapping.name,
        record_id=record,
        failure_id=failure_id(mapping.name, message.topic, message.partition, message.offset, attempt),
        code=fault.code,
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        attempt=attempt,
        first_failed_at=now if before is None else before.first_failed_at,
        timestamp_ms=message.timestamp,
        carries=carries(change) | _carried_before(work, record),
    )


def _carried_before(work: Round, record: str) -> frozenset[str]:
    """Return the columns that are not in the target as others of the record failed, or are parked: these may be any."""
    before = work.locked.failures.get(record)
    if before is not None:
        return before.carries
    return frozenset(work.mapping.description.columns) if record in work.locked.parked else frozenset()


def _is_at(failure: OpenFailure, message: Message) -> bool:
    """Whether a message stands where the failed one stood."""
    return position_of(message).against(failure.position) == 0


def _attempt(known: OpenFailure, replay: ReplayRequest | None) -> int:
    """Return which attempt at a failed change this is: a replay's is the next after the one that it is asked for."""
    if replay is None:
        return known.attempt
    for tried in range(known.attempt, 0, -1):
        place = (known.topic, known.partition, known.offset)
        if failure_id(known.mapping, *place, tried) == replay.failure_id:
            return max(known.attempt, tried + 1)
    return known.attempt + 1


def _answers(
    work: Round,
    over: Sequence[tuple[Change, str, Verdict]],
    outcome: Outcome | None,
    now: datetime,
    reporter: Reporter,
) -> list[Event]:
    """Return what is to be said of failures that are over and of replays that came too late."""
    mapping, direction, worker = work.mapping.name, work.mapping.direction, reporter.worker

    def resolved(change: Change, failure: str, how: Resolution, done: Outcome | None) -> SyncResolved:
        replay = change.replay
        replay_id, position = (
            (None, position_of(change.message)) if replay is None else (replay.replay_id, replay.position)
        )
        # by position, as one is made for each replay
        about = (failure, mapping, direction, record_of(change))
        return SyncResolved(*about, how, done, replay_id, position, now, worker)

    answers: list[Event] = [
        resolved(each, failure_id, _how(each, verdict), outcome if verdict is Verdict.WRITE else None)
        for each, failure_id, verdict in over
    ]
    answers += [
        resolved(each, each.replay.failure_id, Resolution.SUPERSEDED, Outcome.SUPERSEDED)
        for each in work.having(Verdict.SUPERSEDED)
        if each.replay is not None
    ]
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
