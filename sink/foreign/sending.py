"""Dead letters on their way back to the topics they came from, each replay at most once.

Other programs cannot tell a message that comes twice from two messages. So a replay is claimed before it is sent and is never claimed
again: a sink that dies in between leaves it unconfirmed, and a person decides. The producer numbers its messages, so that the broker
drops what it repeats.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import (
    AuthorizationError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
)

from plumbing import kafka
from plumbing.unreachable import UnreachableError
from schemas.config.kafka import KafkaConfig
from schemas.events import REPLAY_HEADER
from sink.foreign.headers import Program, original_record, read_headers
from sink.store import foreign
from sink.store.foreign import NotSent, OutgoingLetter
from sink.store.store import Store

TOPIC_MISSING, NOT_TAKEN, ORIGINAL_GONE = "replay_topic_missing", "replay_not_taken", "original_gone"
AT_ONCE = 100
# well before a claim is taken for abandoned
_HANDED_OVER_WITHIN_US = 10_000_000
_ANSWERED_WITHIN_MS = 10_000
_DELIVERED_WITHIN_MS = 12_000
# the topic says what is too large
_LARGEST_BYTES = 256 << 20
_REFUSALS = (
    AuthorizationError,
    InvalidTopicError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
)
Partitions = Mapping[str, Collection[int]]


@dataclass(slots=True)
class LetterReplays:
    """Who sends; `own_topics` take no replays, `clock_us` tells the time in microseconds since 1970."""

    store: Store
    config: KafkaConfig
    own_topics: Collection[str]
    clock_us: Callable[[], int]
    _producer: KafkaProducer | None = None
    _told: str | None = None
    _log: Any = field(default_factory=structlog.get_logger)

    def run(self) -> Counter[str]:
        """Send some of the dead letters that wait; returns how many were sent, may have been, or were not.

        Raises what StoreAway lists when the store is away.
        """
        with self.store.reading() as connection:
            if not foreign.has_unsent(connection):
                return Counter()
        claimed_us = self.clock_us()
        with self.store.writing() as connection:
            outgoing = foreign.claim(connection, claimed_us, AT_ONCE)
        try:
            topics = self._topics({each.topic for each in outgoing})
            producer = self._open()
        except (KafkaError, UnreachableError) as error:
            self._tell(f"{type(error).__name__}: {error}")
            with self.store.writing() as connection:
                foreign.release(connection, [each.replay_id for each in outgoing])
            return Counter(given_back=len(outgoing))
        self._tell(None)
        return self._send(producer, topics, outgoing, claimed_us + _HANDED_OVER_WITHIN_US)

    def close(self) -> None:
        """End the connection to Kafka."""
        if self._producer is not None:
            kafka.close_producer(self._producer, 2.0)
            self._producer = None

    def _send(
        self, producer: KafkaProducer, topics: Partitions, outgoing: Sequence[OutgoingLetter], until_us: int
    ) -> Counter[str]:
        handed: list[tuple[str, Any]] = []
        not_sent: list[NotSent] = []
        late: list[str] = []
        for each in outgoing:
            code = self._obstacle(each, topics)
            if code is not None:
                not_sent.append(NotSent(each.replay_id, code))
            elif self.clock_us() > until_us:
                late.append(each.replay_id)
            else:
                self._hand_over(producer, topics[each.topic], each, handed, not_sent)
        sent, doubtful = self._acknowledged(handed, not_sent)
        now_us = self.clock_us()
        with self.store.writing() as connection:
            foreign.mark_unconfirmed(connection, sent, now_us, sent=True)
            foreign.mark_unconfirmed(connection, doubtful, now_us, sent=False)
            foreign.mark_not_sent(connection, not_sent, now_us)
            foreign.release(connection, late)
        if doubtful or not_sent:
            self.close()  # a producer that numbers its messages is of no use after a gap
        return Counter(sent=len(sent), doubt=len(doubtful), not_sent=len(not_sent), given_back=len(late))

    def _obstacle(self, each: OutgoingLetter, topics: Partitions) -> str | None:
        if each.topic not in topics or each.topic in self.own_topics:
            self._log.warning(
                "a dead letter was not sent: its topic is not there or takes no replays", topic=each.topic
            )
            return TOPIC_MISSING
        return ORIGINAL_GONE if each.letter is None else None

    def _hand_over(
        self,
        producer: KafkaProducer,
        partitions: Collection[int],
        each: OutgoingLetter,
        handed: list[tuple[str, Any]],
        not_sent: list[NotSent],
    ) -> None:
        if each.letter is None:
            return
        program = Program(each.origin)
        told = read_headers(each.letter.headers, program)
        message = original_record(each.letter, program)
        # the client knows no header without a value
        headers = [(name, value or b"") for name, value in message.headers]
        partition = told.partition if told.topic == each.topic and told.partition in partitions else None
        try:
            future = producer.send(
                each.topic,
                message.value,
                key=message.key,
                headers=[*headers, (REPLAY_HEADER, each.replay_id.encode())],
                partition=partition,
            )
        except (KafkaError, ValueError, AssertionError) as error:
            # refused before anything went out; a message without key and value is none to the client
            self._refused(each.replay_id, error, not_sent)
        else:
            handed.append((each.replay_id, future))

    def _acknowledged(
        self, handed: Sequence[tuple[str, Any]], not_sent: list[NotSent]
    ) -> tuple[list[str], list[str]]:
        """Return what the broker has, and what it may have; what it refused goes to `not_sent`."""
        sent: list[str] = []
        doubtful: list[str] = []
        for replay_id, future in handed:
            try:
                future.get(_DELIVERED_WITHIN_MS / 1000)
                sent.append(replay_id)
            except _REFUSALS as error:
                self._refused(replay_id, error, not_sent)
            except KafkaError as error:
                self._log.warning(
                    "a dead letter was not acknowledged", replay_id=replay_id, reason=type(error).__name__
                )
                doubtful.append(replay_id)
        return sent, doubtful

    def _refused(self, replay_id: str, error: Exception, not_sent: list[NotSent]) -> None:
        self._log.warning("a dead letter was not taken", replay_id=replay_id, reason=type(error).__name__)
        not_sent.append(NotSent(replay_id, NOT_TAKEN))

    def _topics(self, names: Collection[str]) -> Partitions:
        """Those of the topics that are there, with their partitions; Kafka's own are left out, and none is created by asking."""
        admin: KafkaAdminClient = kafka.admin(self.config)
        try:
            described = admin.describe_topics(sorted(names)) if names else []
        finally:
            admin.close()
        return {
            topic["name"]: frozenset(each["partition_index"] for each in topic["partitions"])
            for topic in described
            if topic["error_code"] == 0 and not topic["is_internal"]
        }

    def _open(self) -> KafkaProducer:
        if self._producer is None:
            self._producer = kafka.producer(
                self.config,
                enable_idempotence=True,
                # each message for itself: one that is refused takes no other with it
                batch_size=0,
                max_request_size=_LARGEST_BYTES,
                delivery_timeout_ms=_DELIVERED_WITHIN_MS,
                request_timeout_ms=_ANSWERED_WITHIN_MS,
            )
        return self._producer

    def _tell(self, reason: str | None) -> None:
        if reason is not None and reason != self._told:
            self._log.warning("dead letters wait to be sent", reason=reason)
        self._told = reason
