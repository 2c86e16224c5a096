"""Requests to replay on their way into the topics of the workers, each of them once.

Several sinks may do this at once: what one of them claims by a conditional update, no other sends. A sink that dies between
sending and noting so leaves a claim behind; whether its request was sent, the topic itself tells then.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError
from kafka.future import Future

from schemas.codec import Codec
from schemas.events import event_key
from sink.sent import FindSent
from sink.store import replays
from sink.store.replays import Claim, Outgoing
from sink.store.store import Store

AT_ONCE = 2000
# What was claimed is handed to the producer within this time or given back, and the producer tries no longer than
# DELIVERED_WITHIN_MS: before CLAIM_HOLDS_US is over nothing more can come.
_HANDED_OVER_WITHIN_US = 10_000_000
DELIVERED_WITHIN_MS = 12_000
ANSWERED_WITHIN_MS = 10_000
_RECOVERED_AT_ONCE = 10_000
# the clock of a broker that stamps messages itself may be behind
_CLOCKS_DIFFER_BY_US = 120_000_000


@dataclass(frozen=True, slots=True)
class Sending:
    """What is needed to send requests; `clock_us` tells the time in microseconds since 1970."""

    store: Store
    producer: KafkaProducer
    codec: Codec
    find_sent: FindSent
    clock_us: Callable[[], int]

    def send(self) -> int:
        """Send some of the requests that wait; returns how many the broker has acknowledged."""
        with self.store.reading() as connection:
            if not replays.has_unsent(connection):
                return 0
        claimed_us = self.clock_us()
        with self.store.writing() as connection:
            outgoing = replays.claim(connection, claimed_us, AT_ONCE)
        if not outgoing:
            return 0
        handed, kept = self._hand_over(outgoing, claimed_us + _HANDED_OVER_WITHIN_US)
        sent = self._acknowledged(handed)
        with self.store.writing() as connection:
            replays.mark_sent(connection, sent, self.clock_us())
            replays.release(connection, kept)
        return len(sent)

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
        self, outgoing: Sequence[Outgoing], until_us: int
    ) -> tuple[list[tuple[str, Future]], list[str]]:
        """Give requests to the producer; returns those it took, and those it surely did not."""
        handed: list[tuple[str, Future]] = []
        for index, each in enumerate(outgoing):
            request = each.request
            failure = "the time is over"
            if self.clock_us() < until_us:
                try:
                    future = self.producer.send(
                        each.topic, self.codec.encode(request), key=event_key(request), headers=[]
                    )
                except KafkaError as error:
                    failure = str(error)
                else:
                    handed.append((request.replay_id, future))
                    continue
            structlog.get_logger().warning(
                "replays could not be sent", number=len(outgoing) - index, topic=each.topic, reason=failure
            )
            return handed, [rest.request.replay_id for rest in outgoing[index:]]
        return handed, []

    def _acknowledged(self, handed: Sequence[tuple[str, Future]]) -> list[str]:
        """Return the requests that the broker has; the others may have come too, which the topic tells later."""
        with suppress(KafkaError):  # each request tells for itself
            self.producer.flush(DELIVERED_WITHIN_MS / 1000)
        sent = []
        for replay_id, future in handed:
            try:
                future.get(DELIVERED_WITHIN_MS / 1000)
            except KafkaError as error:
                structlog.get_logger().warning(
                    "a replay was not acknowledged", replay_id=replay_id, reason=str(error)
                )
            else:
                sent.append(replay_id)
        return sent

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
