"""The error topic: what is sent there is acknowledged by the broker, or the sender is told."""

import threading
from collections.abc import Callable, Iterable, Sequence

from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, MessageSizeTooLargeError
from kafka.producer.future import FutureRecordMetadata
from structlog.typing import FilteringBoundLogger

from plumbing.partitioner import placing
from schemas.bundles import FEW, LARGEST_BYTES, Placed, in_bundles
from schemas.events import FAILURE_HEADER, REPLAY_HEADER, Bundle, Event, SyncFailed, SyncResolved, event_key
from worker.report import fit

ACKNOWLEDGE_TIMEOUT_S = 30.0
DEFAULT_LIMIT_BYTES = 1_000_000
SMALLEST_LIMIT_BYTES = 8 << 10
_WAIT_S = 2.0


class ErrorsTopic:
    """Where failures, resolutions and progress go."""

    def __init__(
        self, producer: KafkaProducer, topic: str, encode: Callable[[Event | Bundle], bytes], limit_bytes: int
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._encode = encode
        self._limit_bytes = limit_bytes

    def report(self, events: Sequence[Event]) -> None:
        """Send events and wait until the broker has acknowledged each; raises KafkaError otherwise."""
        try:
            sent = [self._send(each) for each in self._loads(events)]
            # nothing follows that would be worth waiting for
            self._producer.flush(ACKNOWLEDGE_TIMEOUT_S)
            for each in sent:
                each.get(timeout=ACKNOWLEDGE_TIMEOUT_S)
        except MessageSizeTooLargeError:
            if self._limit_bytes <= SMALLEST_LIMIT_BYTES:
                raise
            # the topic takes less than it said; the ids make it harmless to send the others again
            self._limit_bytes = max(self._limit_bytes // 2, SMALLEST_LIMIT_BYTES)
            self.report(events)

    def tell(self, events: Sequence[Event], log: FilteringBoundLogger) -> None:
        """Send events that may be lost, such as a heartbeat: the next one says the same."""
        try:
            for event in events:
                self._send(event)
        except KafkaError as error:
            log.warning("progress not sent", reason=type(error).__name__)

    def _loads(self, events: Sequence[Event]) -> Iterable[Event | Placed]:
        """Return events as they travel: many of a partition in one message."""
        if len(events) < FEW:
            return events
        # of a topic that takes little nobody knows how little
        room = min(self._limit_bytes // 2, LARGEST_BYTES) if self._limit_bytes > SMALLEST_LIMIT_BYTES else 0
        return in_bundles(events, placing(self._producer, self._topic), room)

    def _send(self, event: Event | Placed) -> FutureRecordMetadata:
        if isinstance(event, Placed):
            return self._producer.send(self._topic, self._encode(event.bundle), partition=event.partition)
        headers = []
        if isinstance(event, SyncFailed):
            event = fit(event, self._encode, self._limit_bytes)
        if isinstance(event, SyncFailed | SyncResolved):
            headers.append((FAILURE_HEADER, event.failure_id.encode()))
            if event.replay_id is not None:
                headers.append((REPLAY_HEADER, event.replay_id.encode()))
        return self._producer.send(self._topic, self._encode(event), key=event_key(event), headers=headers)


def wait_for_topic(
    admin: KafkaAdminClient, topic: str, stop: threading.Event, log: FilteringBoundLogger
) -> bool:
    """Return True as soon as a topic exists; False when `stop` is set before."""
    told = False
    while not stop.is_set():
        try:
            if _exists(admin, topic):
                return True
        except KafkaError as error:
            log.warning("topic not found", topic=topic, reason=type(error).__name__)
        if not told:
            log.error(
                "the errors topic does not exist; nothing is consumed until it does",
                topic=topic,
                do="instep topics create",
            )
            told = True
        stop.wait(_WAIT_S)
    return False


def limit_of(admin: KafkaAdminClient, topic: str, max_request_bytes: int) -> int:
    """Return how large a message the topic and our producer take, in bytes."""
    return min(_configured_limit(admin, topic) or DEFAULT_LIMIT_BYTES, max_request_bytes)


def _exists(admin: KafkaAdminClient, topic: str) -> bool:
    return any(each["name"] == topic and each["error_code"] == 0 for each in admin.describe_topics([topic]))


def _configured_limit(admin: KafkaAdminClient, topic: str) -> int | None:
    """Return the topic's `max.message.bytes`; None where we are not allowed to read it."""
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    try:
        described = admin.describe_configs([resource], config_filter="all")
    except KafkaError:
        return None
    setting = described.get("topic", {}).get(topic, {}).get("max.message.bytes")
    return int(setting["value"]) if setting else None
