"""Requests to replay on their way into the topics of the workers, each of them once.

Several sinks may do this at once: what one of them claims by a conditional update, no other sends. A sink that dies between
sending and noting so leaves a claim behind; whether its request was sent, the topic itself tells then.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from kafka.future import Future

from plumbing.partitioner import placing
from schemas.bundles import FEW, LARGEST_BYTES, Placed, in_bundles
from schemas.codec import Codec
from schemas.events import ReplayBundle, ReplayRequest, event_key
from sink.foreign.sending import NOT_TAKEN
from sink.sent import FindSent
from sink.store import replays
from sink.store.foreign import NotSent, mark_not_sent
from sink.store.replays import Claim, Outgoing
from sink.store.store import Store, StoreAway

AT_ONCE = 2000
# What was claimed is handed to the producer within this time or given back, and the producer tries no longer than
# DELIVERED_WITHIN_MS: before CLAIM_HOLDS_US is over nothing more can come.
_HANDED_OVER_WITHIN_US = 10_000_000
DELIVERED_WITHIN_MS = 12_000
ANSWERED_WITHIN_MS = 10_000
# how long a topic that took nothing is left alone
REST_US = 60_000_000
# that many requests were sent is noted after so long, as most of them are answered by then: the answer says as much
NOTED_AFTER_US = 20_000_000
_RECOVERED_AT_ONCE = 10_000
# the clock of a broker that stamps messages itself may be behind
_CLOCKS_DIFFER_BY_US = 120_000_000


class _Load(NamedTuple):
    """What one message carries: a request, or several that belong to a partition."""

    topic: str
    requests: Sequence[ReplayRequest]
    partition: int | None = None

    @property
    def ids(self) -> list[str]:
        return [each.replay_id for each in self.requests]

    def split(self) -> list["_Load"]:
        return [_Load(self.topic, (each,)) for each in self.requests]


@dataclass(slots=True)
class _Handed:
    """What became of requests that were to be handed to the producer: taken, surely not sent, and refused for good."""

    taken: list[tuple[_Load, Future]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sending:
    """What is needed to send requests; `clock_us` tells the time in microseconds since 1970.

    `resting` topics took nothing lately and are left alone until a time, as each try holds up all others. `unnoted` were
    acknowledged by the broker at a time, which is to be noted in the store.
    """

    store: Store
    producer: KafkaProducer
    codec: Codec
    find_sent: FindSent
    clock_us: Callable[[], int]
    resting: dict[str, int] = field(default_factory=dict)
    unnoted: deque[tuple[int, Sequence[str]]] = field(default_factory=deque)

    def send(self) -> int:
        """Send some of the requests that wait; returns how many the broker has acknowledged."""
        self._note(self.clock_us() - NOTED_AFTER_US)
        with self.store.reading() as connection:
            if not replays.has_unsent(connection):
                return 0
        claimed_us = self.clock_us()
        resting = [topic for topic, until_us in self.resting.items() if claimed_us < until_us]
        with self.store.writing() as connection:
            outgoing = replays.claim(connection, claimed_us, AT_ONCE, resting)
        return len(self._send(outgoing, claimed_us)) if outgoing else 0

    def may_claim(self) -> bool:
        """Whether requests may be claimed as they are asked for: not while a topic rests that they may be for."""
        return all(until_us <= self.clock_us() for until_us in self.resting.values())

    def send_claimed(self, replay_ids: Sequence[str], claimed_us: int) -> None:
        """Send requests that were claimed as they were asked for."""
        left = replay_ids
        while left:
            with self.store.writing() as connection:
                outgoing, left = replays.read_claimed(connection, left, self.clock_us())
            self._send(outgoing, claimed_us, note=len(replay_ids) < AT_ONCE)

    def close(self) -> None:
        """Note what was sent; where the store is away, the topic tells the next sink."""
        with suppress(*StoreAway):
            self._note(self.clock_us())

    def _send(self, outgoing: Sequence[Outgoing], claimed_us: int, *, note: bool = True) -> list[str]:
        handed = _Handed()
        until_us = claimed_us + _HANDED_OVER_WITHIN_US
        by_topic: dict[str, list[ReplayRequest]] = defaultdict(list)
        for each in outgoing:
            by_topic[each.topic].append(each.request)
        for topic, requests in by_topic.items():
            self._hand_over(topic, requests, until_us, handed)
        sent = self._acknowledged(handed, until_us)
        now_us = self.clock_us()
        if not note:
            self.unnoted.append((now_us, sent))
        if note or handed.refused or handed.kept:
            with self.store.writing() as connection:
                # entries are locked before replays
                mark_not_sent(connection, [NotSent(each, NOT_TAKEN) for each in handed.refused], now_us)
                replays.mark_sent(connection, sent if note else (), now_us)
                replays.release(connection, handed.kept)
        return sent

    def _note(self, until_us: int) -> None:
        while self.unnoted and self.unnoted[0][0] <= until_us:
            at_us, sent = self.unnoted[0]
            with self.store.writing() as connection:
                replays.mark_sent(connection, sent, at_us)
            self.unnoted.popleft()

    def recover(self) -> Counter[str]:
        """Look in the topics for what was claimed long ago: mark what was sent, give the rest back."""
        with self.store.reading() as connection:
            claims = replays.expired_claims(connection, self.clock_us(), _RECOVERED_AT_ONCE)
        by_topic: dict[str, list[Claim]] = defaultdict(list)
        for each in claims:
            by_topic[each.topic].append(each)
        counts: Counter[str] = Counter()
        for topic, mine in by_topic.items():
            counts += self._recover(topic, mine)
        return counts

    def _hand_over(
        self, topic: str, requests: Sequence[ReplayRequest], until_us: int, handed: _Handed
    ) -> None:
        """Hand requests for a topic to the producer, the first one by itself: it tells whether the topic takes any."""
        first, others = _Load(topic, requests[:1]), _Load(topic, requests[1:])
        if self._hand_over_loads(topic, [first], until_us, handed):
            self._hand_over_loads(topic, self._loads(others), until_us, handed)
        else:
            self._hand_over_loads(topic, others.split(), until_us, handed)

    def _loads(self, others: _Load) -> list[_Load]:
        """Return requests as they travel: many of a partition in one message."""
        if len(others.requests) < FEW:
            return others.split()
        try:
            partitions_of = placing(self.producer, others.topic)
        except KafkaError:
            return others.split()  # it is gone again, as each of them tells
        bundled = in_bundles(others.requests, partitions_of, LARGEST_BYTES)
        loads = []
        for each in bundled:
            match each:
                case Placed(bundle=ReplayBundle(events), partition=partition):
                    loads.append(_Load(others.topic, events, partition))
                case ReplayRequest():
                    loads.append(_Load(others.topic, (each,)))
        return loads

    def _hand_over_loads(self, topic: str, loads: Sequence[_Load], until_us: int, handed: _Handed) -> bool:
        """Hand over what there is for a topic; returns whether the last of it was taken."""
        taken, reason = False, None
        waiting = deque(loads)
        while waiting:
            load = waiting.popleft()
            if self.clock_us() >= until_us:
                reason = reason or "the time is over"
            if reason is not None or self._rests(topic):
                handed.kept += load.ids
                continue
            taken = False
            try:
                handed.taken.append((load, self._give(load)))
                taken = True
            except (MessageSizeTooLargeError, ValueError) as error:
                if load.partition is not None:
                    waiting.extendleft(reversed(load.split()))
                else:
                    self._refused(load, error, handed)
            except KafkaError as error:
                reason = str(error)
                self.resting[topic] = self.clock_us() + REST_US
                handed.kept += load.ids
        if reason is not None:
            structlog.get_logger().warning("replays could not be sent", topic=topic, reason=reason)
        return taken

    def _rests(self, topic: str) -> bool:
        return self.clock_us() < self.resting.get(topic, 0)

    def _give(self, load: _Load) -> Future:
        if load.partition is not None:
            bundle = self.codec.encode(ReplayBundle(tuple(load.requests)))
            return self.producer.send(load.topic, bundle, partition=load.partition)
        (request,) = load.requests
        key = event_key(request)
        try:
            return self.producer.send(load.topic, self.codec.encode(request), key=key, headers=[])
        except MessageSizeTooLargeError:
            # the worker reads the message itself, at its position
            smaller = self.codec.encode(request._replace(original=None))
            return self.producer.send(load.topic, smaller, key=key, headers=[])

    def _acknowledged(self, handed: _Handed, until_us: int) -> list[str]:
        """Return the requests that the broker has; of the others those that it did not refuse may have come too, which the topic tells."""
        with suppress(KafkaError):  # each request tells for itself
            self.producer.flush(DELIVERED_WITHIN_MS / 1000)
        sent: list[str] = []
        taken, handed.taken = handed.taken, []
        for load, future in taken:
            try:
                future.get(DELIVERED_WITHIN_MS / 1000)
                sent += load.ids
            except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
                if load.partition is not None:
                    self._hand_over_loads(load.topic, load.split(), until_us, handed)
                else:
                    self._refused(load, error, handed)
            except KafkaError as error:
                structlog.get_logger().warning(
                    "a replay was not acknowledged", replay_id=load.requests[0].replay_id, reason=str(error)
                )
        return sent + self._acknowledged(handed, until_us) if handed.taken else sent

    def _refused(self, load: _Load, error: Exception, handed: _Handed) -> None:
        structlog.get_logger().warning("a replay was not taken", replay_id=load.ids[0], reason=str(error))
        handed.refused += load.ids

    def _recover(self, topic: str, claims: Sequence[Claim]) -> Counter[str]:
        since_us = min(each.claimed_us for each in claims) - _CLOCKS_DIFFER_BY_US
        wanted = frozenset(each.replay_id for each in claims)
        try:
            found = self.find_sent(topic, since_us // 1000, wanted)
        except KafkaError as error:
            structlog.get_logger().warning(
                "the topic of replays cannot be read; later", topic=topic, reason=str(error)
            )
            return Counter()
        missing = [each for each in claims if each.replay_id not in found]
        with self.store.writing() as connection:
            replays.mark_sent(connection, sorted(found), self.clock_us())
            replays.release_claims(connection, missing)
        structlog.get_logger().info(
            "replays that a sink left behind", found=len(found), given_back=len(missing)
        )
        return Counter(found=len(found), given_back=len(missing))
