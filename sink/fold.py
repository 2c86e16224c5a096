"""What a run of events makes of one entry. Pure.

What the fold needs of most events stands outside their value: the key names the entry, the schema's fingerprint the
type, a header the failure. Decoded are resolutions, answers to replays, and failures that no other failure follows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from schemas.events import Position, Resolution, SyncFailed, SyncResolved
from sink.moment import to_us
from sink.states import CLOSED, ResolvedBy, State, Verdict

REMEMBERED_FAILURES = 10

_RESOLVED_BY = {
    Resolution.REPLAY: ResolvedBy.REPLAY,
    Resolution.SUPERSEDED: ResolvedBy.SUPERSEDED,
    Resolution.RELEASED: ResolvedBy.RELEASED,
    Resolution.DROPPED: ResolvedBy.HAND,
}
_VERDICTS = {
    Resolution.REPLAY: Verdict.RESOLVED,
    Resolution.RELEASED: Verdict.RESOLVED,
    Resolution.SUPERSEDED: Verdict.SUPERSEDED,
    Resolution.DROPPED: Verdict.DROPPED,
}


class Heard(NamedTuple):
    """One event about an entry, in the order of the topic; `event` is None while it is not decoded.

    `answers` a replay, as a header says. `message` is where it can be decoded from. A named tuple, as one is made for each event of a flood.
    """

    failed: bool
    failure_id: str
    at_ms: int
    event: SyncFailed | SyncResolved | None
    message: Any = None
    answers: bool = False


class Attempt(NamedTuple):
    """One of the last failures of an entry; `code` is None where a flood went by undecoded."""

    failure_id: str
    at_ms: int
    code: str | None


class Closing(NamedTuple):
    """How and when an entry was closed by an event."""

    how: ResolvedBy
    outcome: str | None
    at_us: int


class Settled(NamedTuple):
    """A replay that got its answer; `code` of the new failure if it failed again."""

    replay_id: str
    verdict: Verdict
    code: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What the fold has to know of an entry.

    `failed_replays` counts those that persons asked for since the change failed first; `scheduled` says whether the
    schedule asked for the replay that is under way.
    """

    state: State
    failure_id: str
    position: Position | None
    count: int
    first_failed_us: int
    attempts: tuple[Attempt, ...]
    replay_id: str | None
    failed_replays: int = 0
    scheduled: bool = False


class Folded(NamedTuple):
    """What the events made of the entry; `standing` is None when there is no entry, before and after.

    `failure` is the one the entry now shows, None when the events brought none. `closing` tells of the last closing if the
    entry is now closed by one of the events. `unknown` counts resolutions of failures never heard of.
    """

    standing: Standing | None
    failure: SyncFailed | None
    closing: Closing | None
    lifetimes: tuple[tuple[ResolvedBy, int], ...]
    settled: tuple[Settled, ...]
    new: int
    repeats: int
    resolved: int
    unknown: int


def with_decoded(
    standing: Standing | None,
    heard: Sequence[Heard],
    decode: Callable[[Heard], SyncFailed | SyncResolved | None],
    *,
    all_failures: bool = False,
) -> list[Heard]:
    """Return the events with the values that the fold asks for; what `decode` answers with None is left out.

    `all_failures` decodes every failure, for events that do not come in the order of their changes.
    """
    if standing is None and len(heard) == 1:  # as most are, so it is worth a way of its own
        return _decoded(heard[0], decode)
    repeats = _repeats(standing, heard)
    unreadable: set[str] = set()
    kept: list[Heard] = []
    before_failure = False
    for index in range(len(heard) - 1, -1, -1):
        event = heard[index]
        if index in repeats and not event.answers:
            kept.append(event)
            continue
        wanted = all_failures or event.answers or not event.failed or not before_failure
        if wanted and event.event is None:
            value = decode(event)
            if value is None:
                unreadable.add(event.failure_id)
                continue
            event = event._replace(event=value)
        kept.append(event)
        if index not in repeats:
            before_failure = event.failed
    kept.reverse()
    if unreadable:
        return [event for event in kept if event.event is not None or event.failure_id not in unreadable]
    return kept


def _decoded(event: Heard, decode: Callable[[Heard], SyncFailed | SyncResolved | None]) -> list[Heard]:
    if event.event is not None:
        return [event]
    value = decode(event)
    if value is None:
        return []
    return [Heard(event.failed, event.failure_id, event.at_ms, value, event.message, event.answers)]


def may_repeat(standing: Standing, heard: Sequence[Heard]) -> bool:
    """Whether one of the events tells a failure that the entry remembers."""
    recent = {attempt.failure_id for attempt in standing.attempts}
    return not recent.isdisjoint(event.failure_id for event in heard)


def _repeats(standing: Standing | None, heard: Sequence[Heard]) -> set[int]:
    """Return the indexes of failures that were told before, by the same rule as the fold."""
    recent = [] if standing is None else [attempt.failure_id for attempt in standing.attempts]
    told = [event.failure_id for event in heard if event.failed]
    if len(set(told).union(recent)) == len(told) + len(recent):
        return set()
    found = set()
    for index, event in enumerate(heard):
        if not event.failed:
            continue
        if event.failure_id in recent:
            found.add(index)
            continue
        recent.append(event.failure_id)
        if len(recent) > REMEMBERED_FAILURES:
            del recent[0]
    return found


def fold(standing: Standing | None, heard: Sequence[Heard]) -> Folded:
    """Return what the events, in their order, make of an entry."""
    if standing is None and len(heard) == 1:  # as most are, so it is worth a way of its own
        failure = heard[0].event
        if isinstance(failure, SyncFailed) and failure.replay_id is None:
            return _opened(heard[0], failure)
    course = _Course(standing)
    for event in heard:
        if event.failed:
            course.fail(event)
        else:
            course.resolve(event)
    return course.end(standing)


def _opened(event: Heard, failure: SyncFailed) -> Folded:
    """Return what one failure makes of an entry that was not there."""
    standing = Standing(
        State.OPEN if failure.retry_at is None else State.WAITING,
        event.failure_id,
        failure.position,
        1,
        to_us(failure.first_failed_at),
        (Attempt(event.failure_id, event.at_ms, failure.code),),
        None,
    )
    return Folded(standing, failure, None, (), (), 1, 0, 0, 0)


class _Course:
    """An entry while events go by."""

    def __init__(self, standing: Standing | None) -> None:
        self.state = State.RESOLVED if standing is None else standing.state
        self.failure_id = "" if standing is None else standing.failure_id
        self.position = None if standing is None else standing.position
        self.count = 0 if standing is None else standing.count
        self.first_failed_us = 0 if standing is None else standing.first_failed_us
        self.attempts = [] if standing is None else list(standing.attempts)
        self.replay_id = None if standing is None else standing.replay_id
        self.failed_replays = 0 if standing is None else standing.failed_replays
        self.scheduled = standing is not None and standing.scheduled
        self.recent = [attempt.failure_id for attempt in self.attempts]
        self.failure: SyncFailed | None = None
        self.closing: Closing | None = None
        self.lifetimes: list[tuple[ResolvedBy, int]] = []
        self.settled: list[Settled] = []
        self.new = self.repeats = self.resolved = self.unknown = 0

    def fail(self, event: Heard) -> None:
        failure = event.event if isinstance(event.event, SyncFailed) else None
        asked = False
        if failure is not None and failure.replay_id is not None:
            asked = failure.replay_id == self.replay_id and not self.scheduled
            self._settle(failure.replay_id, Verdict.FAILED_AGAIN, failure.code)
        if event.failure_id in self.recent:
            self.repeats += 1
            return
        self._remember(event, failure)
        if failure is not None and _is_before(failure.position, self.position):
            self.repeats += 1  # an older failure that was read late: the entry shows a newer one
            return
        answers = failure is not None and failure.replay_id is not None
        self.failed_replays = self.failed_replays + int(asked) if answers else 0
        self._open(event, failure)

    def resolve(self, event: Heard) -> None:
        resolution = event.event
        if not isinstance(resolution, SyncResolved):
            return
        if resolution.replay_id is not None:
            self._settle(resolution.replay_id, _VERDICTS[resolution.how], None)
        if self.count == 0:
            self.unknown += 1
        elif self.state in CLOSED or not self._is_over(resolution):
            self.repeats += 1
        else:
            self._close(resolution)

    def end(self, before: Standing | None) -> Folded:
        after = None
        if self.count:
            after = Standing(
                self.state,
                self.failure_id,
                self.position,
                self.count,
                self.first_failed_us,
                tuple(self.attempts),
                self.replay_id,
                self.failed_replays,
                self.scheduled,
            )
        return Folded(
            before if after == before else after,
            self.failure,
            self.closing,
            tuple(self.lifetimes),
            tuple(self.settled),
            self.new,
            self.repeats,
            self.resolved,
            self.unknown,
        )

    def _remember(self, event: Heard, failure: SyncFailed | None) -> None:
        self.count += 1
        self.recent.append(event.failure_id)
        self.attempts.append(
            Attempt(event.failure_id, event.at_ms, None if failure is None else failure.code)
        )
        if len(self.recent) > REMEMBERED_FAILURES:
            del self.recent[0], self.attempts[0]

    def _open(self, event: Heard, failure: SyncFailed | None) -> None:
        first_us = event.at_ms * 1000 if failure is None else to_us(failure.first_failed_at)
        if self.state in CLOSED:
            self.new += 1
            self.first_failed_us = first_us
        else:
            self.repeats += 1
            self.first_failed_us = min(self.first_failed_us, first_us)
        waits = failure is not None and failure.retry_at is not None
        self.state = State.WAITING if waits else State.OPEN
        self.failure_id = event.failure_id
        self.closing = None
        if failure is not None:
            self.failure = failure
            self.position = failure.position

    def _close(self, resolution: SyncResolved) -> None:
        how = _RESOLVED_BY[resolution.how]
        at_us = to_us(resolution.resolved_at)
        self.resolved += 1
        self.failed_replays = 0
        self.state = State.RESOLVED
        self.lifetimes.append((how, max(0, at_us - self.first_failed_us)))
        self.closing = Closing(how, resolution.outcome, at_us)

    def _is_over(self, resolution: SyncResolved) -> bool:
        if resolution.failure_id == self.failure_id:
            return True
        mine, other = self.position, resolution.position
        behind = None if mine is None or other is None else other.against(mine)
        return behind is not None and behind >= 0

    def _settle(self, replay_id: str, verdict: Verdict, code: str | None) -> None:
        self.settled.append(Settled(replay_id, verdict, code))
        if replay_id == self.replay_id:
            self.replay_id = None
            if self.state in (State.REPLAYING, State.UNCONFIRMED):
                self.state = State.OPEN


def _is_before(position: Position | None, other: Position | None) -> bool:
    behind = None if position is None or other is None else position.against(other)
    return behind is not None and behind < 0
