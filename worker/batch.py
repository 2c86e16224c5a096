"""A polled batch, decoded and translated: what a lane works on. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

from schemas.events import Decision, Outcome, Position, ReplayRequest
from worker.correct import corrected, delete_fault
from worker.decode import Decode, DecodedMessages, decode
from worker.fault import Fault
from worker.message import Message, StoredMessage, stored
from worker.plan import MappingPlan
from worker.translate import (
    Broken,
    Candidate,
    KeyFields,
    Translated,
    poison_change,
    record_of,
    translate,
)

Change = Candidate | Broken
_PLACE, _OFFSET = attrgetter("topic", "partition"), attrgetter("offset")
FindOriginal = Callable[[Position], StoredMessage | None]


@dataclass(frozen=True, slots=True)
class Part:
    """The changes of one mapping in a batch, in rounds: in each round a record stands once.

    `messages` are kept so that the part can be translated anew when the target's columns have changed.
    """

    mapping: MappingPlan
    messages: Sequence[Message]
    requests: Sequence[ReplayRequest]
    rounds: Sequence[Sequence[Change]]
    counts: Mapping[Outcome, int]
    changed_at_ms: Sequence[int]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one poll brought for a lane; `next_offsets` by topic and partition are committed when all of it is done.

    Messages that are `left` were too much for one batch.
    """

    messages: Sequence[Message]
    parts: Sequence[Part]
    next_offsets: Mapping[tuple[str, int], int]
    left: Sequence[Message] = ()


@dataclass(frozen=True, slots=True)
class Translator:
    """How messages become changes: a decoder for each mapping's format, and what reads a message's key."""

    decoders: Mapping[str, Decode]
    key_fields: Mapping[str, KeyFields]

    def part(self, mapping: MappingPlan, messages: Sequence[Message]) -> Part:
        """Return the changes of one mapping among the messages of its topic."""
        decoded = decode(messages, self.decoders[mapping.name])
        return self._translated(mapping, messages, decoded)

    def _translated(
        self, mapping: MappingPlan, messages: Sequence[Message], decoded: DecodedMessages
    ) -> Part:
        translated, changes = self._changes(mapping, decoded)
        superseded, alone = translated.superseded, translated.alone
        if mapping.order == "latest" and len(changes) > len(translated.candidates):
            before = len(changes)
            changes, alone = _last_of_each_record(changes)
            superseded += before - len(changes)
        counts = {
            Outcome.SUPERSEDED: superseded,
            Outcome.SKIPPED: translated.skipped + decoded.ignored,
        }
        ages = [change.changed_at_ms for _, change in decoded.changes if change.changed_at_ms is not None]
        return Part(mapping, messages, (), _rounds(mapping, changes, alone=alone), counts, ages)

    def _changes(self, mapping: MappingPlan, decoded: DecodedMessages) -> tuple[Translated, list[Change]]:
        """Return what the mapping makes of decoded messages, and all changes of it: candidates, broken ones and poison."""
        key_fields = self.key_fields[mapping.name]
        translated = translate(mapping, decoded.changes, key_fields)
        poison = [poison_change(mapping, message, fault, key_fields) for message, fault in decoded.poison]
        return translated, [*translated.candidates, *translated.broken, *poison]

    def replays(
        self, mapping: MappingPlan, requests: Sequence[ReplayRequest], find_original: FindOriginal
    ) -> Part:
        """Return the replays of one mapping as changes; an original that the request lacks is found by position."""
        messages = [_original(each, find_original) for each in requests]
        plain = [
            message
            for request, message in zip(requests, messages, strict=True)
            if message is not None and not request.corrections
        ]
        translated = self._each(mapping, plain)
        changes: list[Change] = []
        for request, message in zip(requests, messages, strict=True):
            if message is None:
                changes.append(_without_original(request))
            elif request.corrections:
                changes.append(self._replayed(mapping, request, message))
            else:
                changes.append(_for_request(translated.get(id(message)), message, request))
        return Part(mapping, (), requests, in_rounds(changes), {}, ())

    def _each(self, mapping: MappingPlan, messages: Sequence[Message]) -> dict[int, Change]:
        """Return the one change of each message that the mapping wants something of, by the message's `id`.

        By that, as several may be equal: two requests can be about the same message.
        """
        # with the other order only the last of a record would be left
        every = replace(mapping, order="strict")
        _, changes = self._changes(every, decode(messages, self.decoders[mapping.name]))
        return {id(each.message): each for each in changes}

    def again(self, mapping: MappingPlan, change: Change) -> Change | None:
        """Return a change translated anew, for the columns that its target has now; None where the mapping wants nothing of it."""
        if change.replay is None:
            return self.change(mapping, change.message)
        return self._replayed(mapping, change.replay, change.message)

    def _replayed(self, mapping: MappingPlan, request: ReplayRequest, message: Message) -> Change:
        if request.corrections:
            change = self._corrected(mapping, message, request.corrections)
        else:
            change = self.change(mapping, message)
        return _for_request(change, message, request)

    def _corrected(
        self, mapping: MappingPlan, message: Message, corrections: Mapping[str, str]
    ) -> Change | None:
        plan = corrected(mapping, corrections)
        wrong = plan if isinstance(plan, Fault) else None
        change = self.change(mapping if isinstance(plan, Fault) else plan, message)
        if isinstance(change, Candidate) and change.delete and wrong is None:
            wrong = delete_fault(corrections)
        if change is None or wrong is None:
            return change
        return Broken(change.key, change.message, wrong)

    def change(self, mapping: MappingPlan, message: Message) -> Change | None:
        """Return the one change of a message; None where the mapping wants nothing of it."""
        part = self.part(mapping, [message])
        return part.rounds[0][0] if part.rounds and part.rounds[0] else None


def _original(request: ReplayRequest, find_original: FindOriginal) -> StoredMessage | None:
    """Return the message that a request wants to be tried again; None where it wants none, or there is none any more."""
    if request.decision is Decision.DROP:
        return None
    if request.original is None:
        return find_original(request.position)
    return stored(request.position, request.original)


def _without_original(request: ReplayRequest) -> Broken:
    place = request.position
    empty = StoredMessage(place.topic, place.partition, place.offset, place.timestamp_ms, None, None)
    return Broken((), empty, Fault("bug" if request.decision is Decision.DROP else "original_gone"), request)


def _for_request(change: Change | None, message: Message, request: ReplayRequest) -> Change:
    """Return what became of a message as what became of the request to try it again."""
    if change is None:
        return Broken((), message, Fault("original_gone"), request)
    if isinstance(change, Candidate):
        # not _replace, which takes three times as long
        return Candidate(*change[:6], request, change.lacks)
    return Broken(change.key, change.message, change.fault, request)


def carries(change: Change) -> frozenset[str]:
    """Return the columns that a change brings; none where it deletes."""
    if isinstance(change, Broken):
        return change.carries
    return frozenset() if change.delete else frozenset(change.columns)


def _last_of_each_record(changes: Iterable[Change]) -> tuple[list[Change], bool]:
    """Return the last change of each record within its partition, with those before it that carry what it leaves out.

    Also, whether each is the only one of its record. Of what cannot be read nobody knows what it carries.
    """
    last: dict[tuple[str, int], list[Change]] = {}
    for each in sorted(changes, key=lambda change: change.message.offset):
        before = last.setdefault((record_of(each), each.message.partition), [])
        readable = isinstance(each, Candidate) or each.carries
        while before and each.lacks.isdisjoint(carries(before[-1])) and (readable or not carries(before[-1])):
            before.pop()
        before.append(each)
    left = [each for group in last.values() for each in group]
    return left, len({record for record, _ in last}) == len(left)


def _rounds(mapping: MappingPlan, changes: list[Change], *, alone: bool) -> Sequence[Sequence[Change]]:
    """Return changes in rounds; `alone` where no two changes are known to be of one record."""
    if not changes:
        return ()
    if mapping.order == "latest" and alone:
        targets = [each.target_key for each in changes if isinstance(each, Candidate)]
        if len(set(targets)) == len(targets):
            return (changes,)
    ordered = sorted(changes, key=lambda each: (each.message.partition, each.message.offset))
    return in_rounds(ordered)


def in_rounds(changes: Iterable[Change]) -> list[list[Change]]:
    """Return changes in rounds: in each a record, and a target key, stands once; the order of each is kept."""
    every = list(changes)
    targets = [each.target_key for each in every if isinstance(each, Candidate)]
    if every and len(set(map(record_of, every))) == len(every) and len(set(targets)) == len(targets):
        return [every]
    turns: dict[object, int] = {}
    rounds: list[list[Change]] = []
    for each in every:
        names = _names(each)
        turn = max(turns.get(name, 0) for name in names)
        for name in names:
            turns[name] = turn + 1
        while turn >= len(rounds):
            rounds.append([])
        rounds[turn].append(each)
    return rounds


def _names(change: Change) -> list[object]:
    """Return what no two changes of a round share: the record, and the target's key."""
    return [record_of(change), *([(change.target_key,)] if isinstance(change, Candidate) else [])]


@dataclass(slots=True)
class Deferred:
    """Changes of a part that wait for the rest of the batch, and behind them those that come after them."""

    changes: list[Change] = field(default_factory=list)
    names: set[object] = field(default_factory=set)

    def add(self, changes: Iterable[Change]) -> None:
        """Have changes wait."""
        for each in changes:
            self.changes.append(each)
            self.names.update(_names(each))

    def hold_back(self, changes: Sequence[Change]) -> Sequence[Change]:
        """Return the changes of a round that need not wait; the others do, in their order."""
        if not self.names:
            return changes
        free: list[Change] = []
        for each in changes:
            if self.names.isdisjoint(_names(each)):
                free.append(each)
            else:
                self.add([each])
        return free


def by_topic(messages: Iterable[Message]) -> dict[str, list[Message]]:
    """Return messages by topic, each in its order."""
    topics: dict[str, list[Message]] = {}
    for each in messages:
        topics.setdefault(each.topic, []).append(each)
    return topics


def next_offsets(messages: Sequence[Message]) -> dict[tuple[str, int], int]:
    """Return, by topic and partition, the offset behind the last of these messages."""
    # without a line of Python for each message
    last = dict(zip(map(_PLACE, messages), map(_OFFSET, messages), strict=True))
    return {place: offset + 1 for place, offset in last.items()}
