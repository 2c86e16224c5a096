"""A batch of events as it is gathered from the error topic: by entry, with no more decoded than must be.

Reads values handed in, opens nothing. What cannot be read goes to the quarantine list with its bytes.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from schemas.codec import Codec, Unreadable
from schemas.events import (
    FAILURE_HEADER,
    REPLAY_HEADER,
    Bundle,
    Event,
    ReplayBundle,
    ResolvedBundle,
    SyncFailed,
    SyncProgress,
    SyncResolved,
    event_key,
)
from sink.fold import Heard, with_decoded
from sink.foreign.letter import Letter

Partition = tuple[str, int]
ReadLetter = Callable[[Any], Letter]

# of an entry that a worker's failure made
INSTEP = "instep"
LETTER = "letter"


@dataclass(frozen=True, slots=True)
class Span:
    """What a batch reads of one partition: from `start`, where the store stands, up to but without `end`."""

    start: int | None
    end: int


@dataclass(frozen=True, slots=True)
class Unread:
    """A message for the quarantine: its bytes, and why; `newer` when a later program may read it."""

    message: Any
    reason: str
    newer: bool


class EntryEvents(NamedTuple):
    """All that a batch says about one entry; `origin` is who wrote its messages. A named tuple, as one is made for each entry."""

    entry_id: str
    key: bytes
    heard: list[Heard]
    origin: str = INSTEP


class ValueDroppedError(Exception):
    """An event that was taken for one of a flood has to be decoded after all: gather again with `keep_values`."""


@dataclass(slots=True)
class Batch:
    """What was gathered so far; grows by `add`, is decoded by `entries`.

    Without `keep_values` the bytes of a failure go as soon as another failure of its record follows, which is what keeps
    a flood small; `size_bytes` are those that stayed. `topic_ids` are the broker's ids of the topics. The messages of topics
    in `letters` are no events but dead letters of other programs, each of which is one.
    """

    codec: Codec
    keep_values: bool = False
    topic_ids: Mapping[str, str | None] = field(default_factory=dict)
    letters: Mapping[str, ReadLetter] = field(default_factory=dict)
    spans: dict[Partition, Span] = field(default_factory=dict)
    heard: dict[bytes, list[Heard]] = field(default_factory=dict)
    origins: dict[bytes, str] = field(default_factory=dict)
    progress: dict[bytes, Any] = field(default_factory=dict)
    unread: list[Unread] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    messages: int = 0
    size_bytes: int = 0
    newest_ms: int = 0

    def add(self, partition: Partition, messages: Sequence[Any], start: int | None, high_water: int) -> None:
        """Sort the messages of one partition in; what is not above `high_water` is stale."""
        read_letter = self.letters.get(partition[0])
        if read_letter is None:
            self._add_events(messages, high_water)
        else:
            self._add_letters(messages, high_water, read_letter)
        last = messages[-1]
        self.messages += len(messages)
        self.newest_ms = max(self.newest_ms, last.timestamp)
        span = self.spans.get(partition)
        self.spans[partition] = Span(start if span is None else span.start, last.offset + 1)

    def _add_events(self, messages: Sequence[Any], high_water: int) -> None:
        kind_of = self.codec.kind
        for message in messages:
            value = message.value
            kind = None if value is None else kind_of(value)
            if message.offset <= high_water:
                self.counts[_type_name(kind), "stale"] += 1
            elif (kind is SyncFailed or kind is SyncResolved) and message.key is not None:
                self._hear(message, kind is SyncFailed)
            elif kind is ResolvedBundle:
                self._hear_bundle(message)
            elif kind is SyncProgress and message.key is not None:
                self.progress[message.key] = message
                self.counts["progress", "new"] += 1
            else:
                self._set_aside(message)
            if value is not None:
                self.size_bytes += len(value)

    def _add_letters(self, messages: Sequence[Any], high_water: int, read_letter: ReadLetter) -> None:
        for message in messages:
            if message.offset <= high_water:
                self.counts[LETTER, "stale"] += 1
                continue
            letter = read_letter(message)
            failure = letter.failure
            answers = failure.replay_id is not None
            heard = Heard(True, failure.failure_id, letter.at_ms, failure, message, answers)
            self.heard.setdefault(letter.key, []).append(heard)
            self.origins[letter.key] = letter.origin
            self.size_bytes += _size(message)

    def entries(self) -> Iterator[EntryEvents]:
        """Yield the events by entry, decoded as far as any fold asks; the bytes that cannot be read are in `unread` after."""
        for key, heard in self.heard.items():
            readable = with_decoded(None, heard, self.decode)
            if readable:
                yield EntryEvents(entry_id(key), key, readable, self.origins.get(key, INSTEP))

    def latest_progress(self) -> list[SyncProgress]:
        """Return the last progress of each worker and mapping."""
        found = []
        for message in self.progress.values():
            event = self._read(message)
            if isinstance(event, SyncProgress):
                found.append(event)
        return found

    @staticmethod
    def mapping_of(key: bytes) -> str:
        """Return the mapping that a readable message key names."""
        return str(orjson.loads(key)[0])

    def decode(self, heard: Heard) -> SyncFailed | SyncResolved | None:
        """Return the event, or None after setting its message aside; raises ValueDroppedError where its bytes went."""
        if heard.event is not None:
            return heard.event
        if heard.message is None:
            raise ValueDroppedError
        event = self._read(heard.message)
        return event if isinstance(event, SyncFailed | SyncResolved) else None

    def refuse(self, events: EntryEvents, error: str) -> None:
        """Set the messages of an entry aside that the store refuses; raises ValueDroppedError where their bytes went."""
        if any(heard.message is None for heard in events.heard):
            raise ValueDroppedError
        for heard in events.heard:
            self._quarantine(heard.message, f"the sink's database refuses it ({error})", newer=False)

    def _hear(self, message: Any, failed: bool) -> None:
        event = None
        failure_id, answers = _headers(message.headers)
        if failure_id is None:
            read = self._read(message)
            if not isinstance(read, SyncFailed | SyncResolved):
                return
            event, failure_id = read, read.failure_id
        heard = Heard(failed, failure_id, message.timestamp, event, message, answers)
        known = self.heard.get(message.key)
        if known is None:
            self.heard[message.key] = [heard]
            return
        if failed and not self.keep_values and known[-1].failure_id != failure_id:
            self._drop_value(known)
        known.append(heard)

    def _hear_bundle(self, message: Any) -> None:
        bundle = self.codec.decode(message.value)
        if not isinstance(bundle, ResolvedBundle):
            self._set_aside(message)
            return
        for event in bundle.events:
            answers = event.replay_id is not None
            heard = Heard(False, event.failure_id, message.timestamp, event, message, answers)
            self.heard.setdefault(event_key(event), []).append(heard)

    def _drop_value(self, known: list[Heard]) -> None:
        last = known[-1]
        if last.failed and not last.answers and last.event is None:
            self.size_bytes -= len(last.message.value)
            known[-1] = Heard(True, last.failure_id, last.at_ms, None)

    def _read(self, message: Any) -> Event | Bundle | None:
        event = self.codec.decode(message.value)
        if isinstance(event, Unreadable):
            self._quarantine(message, event.reason, event.newer)
            return None
        if not _key_fits(message.key, event):
            self._quarantine(
                message, "the key of the message does not name the record of the event", newer=False
            )
            return None
        return event

    def _set_aside(self, message: Any) -> None:
        kind = None if message.value is None else self.codec.kind(message.value)
        if message.value is None or (message.key is None and kind is not ResolvedBundle):
            what = "key" if message.key is None else "value"
            self._quarantine(message, f"the message has no {what}", newer=False)
            return
        event = self.codec.decode(message.value)
        if isinstance(event, Unreadable):
            self._quarantine(message, event.reason, event.newer)
        else:
            self._quarantine(
                message, f"a {type(event).__name__} has no place on the error topic", newer=False
            )

    def _quarantine(self, message: Any, reason: str, newer: bool) -> None:
        kind = None if message.value is None else self.codec.kind(message.value)
        self.counts[_type_name(kind), "quarantined"] += 1
        self.unread.append(Unread(message, reason, newer))


def entry_id(key: bytes) -> str:
    """Return the id of the entry that a message key names."""
    return hashlib.sha256(key).hexdigest()[:16]


def _size(message: Any) -> int:
    parts = (message.key, message.value, *(value for _, value in message.headers))
    return sum(len(part) for part in parts if part is not None)


def _headers(headers: Sequence[tuple[str, bytes | None]]) -> tuple[str | None, bool]:
    failure_id, answers = None, False
    for name, value in headers:
        if name == FAILURE_HEADER and value is not None:
            failure_id = value.decode("ascii", "replace")
        elif name == REPLAY_HEADER:
            answers = True
    return failure_id, answers


def _key_fits(key: bytes, event: Event | Bundle) -> bool:
    # parsed and compared, as making the key anew costs ten times as much
    try:
        named = orjson.loads(key)
    except orjson.JSONDecodeError:
        return False
    match event:
        case SyncFailed():
            about = event.source.record_id
        case SyncProgress():
            about = event.worker
        case ResolvedBundle() | ReplayBundle():
            return False  # they have none
        case _:
            about = event.record_id
    return bool(named == [event.mapping, event.direction, about])


_TYPE_NAMES: dict[type[Event | Bundle] | None, str] = {
    SyncFailed: "failed",
    SyncResolved: "resolved",
    ResolvedBundle: "resolved",
    SyncProgress: "progress",
}


def _type_name(kind: type[Event | Bundle] | None) -> str:
    return _TYPE_NAMES.get(kind, "unknown")
