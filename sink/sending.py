"""Requests to replay on their way into the topics of the workers, each of them once.

Several sinks may do this at once: what one of them claims by a conditional update, no other sends. A sink that dies between
sending and noting so leaves a claim behind; whether its request was sent, the topic itself tells then.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError
from kafka.future import Future

from schemas.codec import Codec
from schemas.events import event_key
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
_NOTED_AFTER_US = 20_000_000
_RECOVERED_AT_ONCE = 10_000
# the clock of a broker that stamps messages itself may be behind
_CLOCKS_DIFFER_BY_US = 120_000_000


@dataclass(slots=True)
class _Handed:
    """What became of requests that were to be handed to the producer: taken, surely not sent, and refused for good."""

    taken: list[tuple[str, Future]] = field(default_factory=list)
    kept: list[Outgoing] = field(default_factory=list)
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
        self._note(self.clock_us() - _NOTED_AFTER_US)
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
        handed = self._hand_over(outgoing, claimed_us + _HANDED_OVER_WITHIN_US)
        sent = self._acknowledged(handed)
        now_us = self.clock_us()
        if not note:
            self.unnoted.append((now_us, sent))
        if note or handed.refused or handed.kept:
            with self.store.writing() as connection:
                # entries are locked before replays
                mark_not_sent(connection, [NotSent(each, NOT_TAKEN) for each in handed.refused], now_us)
                replays.mark_sent(connection, sent if note else (), now_us)
                replays.release(connection, [each.request.replay_id for each in handed.kept])
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

    def _hand_over(self, outgoing: Sequence[Outgoing], until_us: int) -> _Handed:
        handed = _Handed()
        reasons: dict[str, str] = {}
        for each in outgoing:
            if each.topic in reasons or self.clock_us() >= until_us:
                handed.kept.append(each)
                continue
            try:
                handed.taken.append((each.request.replay_id, self._give(each)))
            except (MessageSizeTooLargeError, ValueError) as error:
                self._refused(each.request.replay_id, error, handed)
            except KafkaError as error:
                reasons[each.topic] = str(error)
                self.resting[each.topic] = self.clock_us() + REST_US
                handed.kept.append(each)
        for topic, number in Counter(each.topic for each in handed.kept).items():
            reason = reasons.get(topic, "the time is over")
            structlog.get_logger().warning(
                "replays could not be sent", number=number, topic=topic, reason=reason
            )
        return handed

    def _give(self, each: Outgoing) -> Future:
        key = event_key(each.request)
        try:
            return self.producer.send(each.topic, self.codec.encode(each.request), key=key, headers=[])
        except MessageSizeTooLargeError:
            # the worker reads the message itself, at its position
            smaller = self.codec.encode(replace(each.request, original=None))
            return self.producer.send(each.topic, smaller, key=key, headers=[])

    def _acknowledged(self, handed: _Handed) -> list[str]:
        """Return the requests that the broker has; of the others those that it did not refuse may have come too, which the topic tells."""
        with suppress(KafkaError):  # each request tells for itself
            self.producer.flush(DELIVERED_WITHIN_MS / 1000)
        sent = []
        for replay_id, future in handed.taken:
            try:
                future.get(DELIVERED_WITHIN_MS / 1000)
            except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
                self._refused(replay_id, error, handed)
            except KafkaError as error:
                structlog.get_logger().warning(
                    "a replay was not acknowledged", replay_id=replay_id, reason=str(error)
                )
            else:
                sent.append(replay_id)
        return sent

    def _refused(self, replay_id: str, error: Exception, handed: _Handed) -> None:
        structlog.get_logger().warning("a replay was not taken", replay_id=replay_id, reason=str(error))
        handed.refused.append(replay_id)

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
