"""From topics into the store, exactly once: the position in a topic stands in the store, in the same transaction.

The loop gathers and decodes a batch while the batch before it is written in another thread. Whenever it cannot be sure
where it stands (partitions came, another sink wrote, the store was away) it drops what it holds, asks the store and goes on
from there. While the store is away all partitions are paused and polling goes on, so that the group keeps us.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata
from sqlalchemy.exc import DBAPIError

from plumbing.database import unreachable_reason
from plumbing.kafka import topic_id
from plumbing.unreachable import UnreachableError
from schemas.codec import Codec
from sink.batch import Batch, Partition, ReadLetter, ValueDroppedError
from sink.health import Pulse
from sink.store.positions import Ingested, read_positions, start_anew
from sink.store.store import Store, StoreAway
from sink.store.write_batch import Decoded, Fenced, Written, decode_batch, write_batch

LOOP = "ingest"
# What a batch may hold. Many messages, so that of a flood few are decoded; few entries, as theirs take the memory.
BATCH_MESSAGES = 40_000
BATCH_ENTRIES = 3500
BATCH_BYTES = 6 << 20
BATCH_SECONDS = 2.0
_POLL_MS = 200
_BRIEF_MS = 20
_POLL_MESSAGES = 2000
_AGAIN_S = 1.0
# while it waits for Kafka the loop hears nothing, not even that it shall stop
_ENDS_WITHIN_MS = 5000

_STORE = "store"
_KAFKA = "kafka"


class _Assignment(ConsumerRebalanceListener):  # type: ignore[misc]  # the client has no types
    """Notes that partitions came or went; called from the client's thread, inside a poll."""

    def __init__(self) -> None:
        self.changed = True

    def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002  the client's signature
        self.changed = True

    def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:  # noqa: ARG002  the client's signature
        self.changed = True


class IngestMetrics(Protocol):
    """What an ingest tells of its progress."""

    def ingested(self, written: Written, at_s: float) -> None:
        """Count a batch that is in the store."""

    def lag(self, messages: int) -> None:
        """Show how many messages are yet to be read."""

    def missed(self, messages: int, at_s: float) -> None:
        """Count messages that their topic dropped before they were read."""


@dataclass(frozen=True, slots=True)
class Hears:
    """What an ingest listens to: topics with events of the workers, or, where `letters` reads them, with dead letters of others.

    `name` is the loop's. Without `needed` a topic that does not exist is told, but keeps the sink not from being ready.
    """

    topics: Sequence[str]
    name: str = LOOP
    letters: Mapping[str, ReadLetter] = field(default_factory=dict)
    needed: bool = True

    def part(self, service: str) -> str:
        """Return under which name a service is told when it hinders this loop."""
        return service if self.name == LOOP else f"{service} of {self.name}"


class Ingest:
    """One loop; `clock_us` tells the time in microseconds since 1970."""

    def __init__(
        self,
        store: Store,
        consumer: KafkaConsumer,
        codec: Codec,
        hears: Hears,
        *,
        metrics: IngestMetrics,
        pulse: Pulse,
        clock_us: Callable[[], int],
    ) -> None:
        self._store = store
        self._consumer = consumer
        self._codec = codec
        self._hears = hears
        self._topic_ids: dict[str, str | None] = {}
        self._metrics = metrics
        self._pulse = pulse
        self._clock_us = clock_us
        self._log = structlog.get_logger()
        self._assignment = _Assignment()
        self._positions: dict[Partition, Ingested | None] = {}
        self._in_store: dict[Partition, int] = {}
        self._missed: set[tuple[Partition, int]] = set()
        self._lost = True
        self._keep_values = False
        self._writer = ThreadPoolExecutor(1, thread_name_prefix=f"{hears.name}-writer")
        self._writing: tuple[Decoded, Future[Written | Fenced]] | None = None

    def run(self, stop: threading.Event) -> None:
        """Ingest until `stop`, then end the batch that is being written."""
        self._consumer.subscribe(list(self._hears.topics), listener=self._assignment)
        try:
            while not stop.is_set():
                self._pulse.beat(self._hears.name)
                try:
                    self._go_round(stop)
                except (KafkaError, UnreachableError) as error:
                    self._lose_place(_KAFKA, f"{type(error).__name__}: {error}")
                    stop.wait(_AGAIN_S)
            self._finish_writing()
        finally:
            self._writer.shutdown()

    def _go_round(self, stop: threading.Event) -> None:
        if self._lost or self._moved:
            self._finish_writing()
            if not self._find_place():
                self._consumer.poll(_POLL_MS)
                stop.wait(_POLL_MS / 1000)
                return
        batch = self._gather(stop)
        if self._moved:
            return
        decoded = self._decode(batch)
        if self._finish_writing() and decoded is not None:
            self._keep_values = False
            future = self._writer.submit(write_batch, self._store, decoded, self._clock_us())
            self._writing = decoded, future

    @property
    def _moved(self) -> bool:
        """Whether partitions came or went, or a topic is another one of the same name."""
        return self._assignment.changed or self._ids_now() != self._topic_ids

    def _ids_now(self) -> dict[str, str | None]:
        return {topic: topic_id(self._consumer, topic) for topic in self._hears.topics}

    def _gather(self, stop: threading.Event) -> Batch:
        """Poll until the batch is full or has taken long enough; while one is being written there is no hurry."""
        batch = Batch(
            self._codec,
            keep_values=self._keep_values,
            topic_ids=self._topic_ids,
            letters=self._hears.letters,
        )
        until = time.monotonic() + BATCH_SECONDS
        while not _is_full(batch):
            idle = self._writing is None or self._writing[1].done()
            polled = self._consumer.poll(
                _POLL_MS if self._writing is None else _BRIEF_MS, max_records=_POLL_MESSAGES
            )
            if self._moved or stop.is_set():
                break
            for topic_partition, messages in polled.items():
                partition = (topic_partition.topic, topic_partition.partition)
                place = self._positions.get(partition)
                start = None if place is None else place.position
                batch.add(partition, messages, start, -1 if place is None else place.high_water)
            if idle and (not polled or time.monotonic() > until):
                break
        for partition, span in batch.spans.items():
            known = self._positions.get(partition)
            high_water = -1 if known is None else known.high_water
            self._positions[partition] = Ingested(span.end, max(high_water, span.end - 1))
        self._metrics.lag(self._lag())
        return batch

    def _decode(self, batch: Batch) -> Decoded | None:
        try:
            return decode_batch(batch, self._clock_us()) if batch.messages else None
        except ValueDroppedError:
            self._read_again()
            return None

    def _read_again(self) -> None:
        self._lost = True
        self._keep_values = True

    def _finish_writing(self) -> bool:
        """Wait for the batch that is being written; False when it is not in the store."""
        if self._writing is None:
            return not self._lost
        decoded, future = self._writing
        self._writing = None
        try:
            written = future.result()
        except DBAPIError as error:
            # away, or it refuses what is no entry and so cannot be set aside: somebody has to look, and nothing is lost meanwhile
            self._lose_place(_STORE, f"the database is away or refuses: {unreachable_reason(error)}")
            return False
        except ValueDroppedError:
            self._read_again()
            return False
        if isinstance(written, Fenced):
            self._log.info("another sink has taken over", partitions=len(written.partitions))
            self._lost = True
            return False
        self._metrics.ingested(written, self._clock_us() / 1e6)
        self._in_store |= {partition: span.end for partition, span in decoded.batch.spans.items()}
        self._commit()
        return not self._lost

    def _commit(self) -> None:
        # Only for those who watch the group's lag: the position that counts stands in the store. A commit that failed
        # is made good by the next one, which tells all positions again.
        offsets = {
            TopicPartition(*partition): OffsetAndMetadata(position, "", -1)
            for partition, position in self._in_store.items()
        }
        if offsets:
            self._consumer.commit_async(offsets, callback=_ignore)

    def _lose_place(self, part: str, why: str) -> None:
        if not self._lost:
            self._log.warning("ingest waits", loop=self._hears.name, reason=why)
        self._lost = True
        self._pulse.hindered(self._hears.part(part), why)
        assigned = self._consumer.assignment()
        if assigned:
            self._consumer.pause(*assigned)

    def _find_place(self) -> bool:
        """Go to where the store stands in each partition; False while the store is away or no partition is ours."""
        self._lost = True
        self._assignment.changed = False
        self._topic_ids = self._ids_now()
        self._tell_missing()
        assigned = self._consumer.assignment()
        if not assigned:
            self._positions = {}
            why = self._why_nothing_is_ours()
            self._pulse.hindered(self._hears.part(_KAFKA), why)
            self._lost = why is not None
            return why is None
        try:
            stored = self._stored_positions(assigned)
        except StoreAway as error:
            self._lose_place(_STORE, f"the database is away: {unreachable_reason(error)}")
            return False
        self._tell_missed(stored, assigned)
        self._positions = {}
        self._in_store = {}
        for partition in assigned:
            place = stored.get((partition.topic, partition.partition))
            self._positions[partition.topic, partition.partition] = place
            if place is not None:
                self._in_store[partition.topic, partition.partition] = place.position
            if place is None:
                self._consumer.seek_to_beginning(partition)
            else:
                self._consumer.seek(partition, place.position)
        self._consumer.resume(*assigned)
        self._commit()
        self._lost = False
        self._pulse.hindered(self._hears.part(_STORE), None)
        self._pulse.hindered(self._hears.part(_KAFKA), None)
        self._log.info("ingesting", partitions=sorted(f"{topic}-{number}" for topic, number in assigned))
        return True

    def _tell_missing(self) -> None:
        if self._hears.needed:
            return
        missing = sorted(self._missing())
        why = f"waiting for topics that do not exist: {', '.join(missing)}" if missing else None
        if why is not None and why != self._pulse.notices.get(self._hears.name):
            self._log.warning("a topic is waited for", loop=self._hears.name, topics=missing)
        self._pulse.notice(self._hears.name, why)

    def _missing(self) -> list[str]:
        return [topic for topic in self._hears.topics if not self._consumer.partitions_for_topic(topic)]

    def _why_nothing_is_ours(self) -> str | None:
        missing = self._missing()
        if missing and self._hears.needed:
            return f"topic {missing[0]} does not exist; create it with `instep topics create`"
        if len(missing) == len(self._hears.topics):
            return None  # nothing to read yet
        if self._consumer.group_metadata().generation_id < 0:
            return "waiting to be let into the consumer group"
        return None  # more sinks than partitions: this one stands by

    def _stored_positions(self, assigned: set[TopicPartition]) -> dict[Partition, Ingested]:
        with self._store.reading() as connection:
            stored = {
                partition: place
                for topic in self._hears.topics
                for partition, place in read_positions(connection, topic).items()
            }
        ends = self._consumer.end_offsets(list(assigned), timeout_ms=_ENDS_WITHIN_MS)
        anew = []
        for partition, end in ends.items():
            place = stored.get((partition.topic, partition.partition))
            known_id = self._topic_ids.get(partition.topic)
            if place is not None and (end < place.position or _is_of_another(place, known_id)):
                anew.append((partition.topic, partition.partition))
        if anew:
            topics = sorted({topic for topic, _ in anew})
            self._log.warning("a topic was created anew; reading it from its start", topics=topics)
            with self._store.writing() as connection:
                start_anew(connection, anew)
        return {partition: place for partition, place in stored.items() if partition not in anew}

    def _tell_missed(self, stored: Mapping[Partition, Ingested], assigned: set[TopicPartition]) -> None:
        """Tell, once, of messages that a topic dropped before they were read: nobody will hear of what was in them."""
        missed: dict[str, int] = {}
        begins = self._consumer.beginning_offsets(list(assigned), timeout_ms=_ENDS_WITHIN_MS)
        for (topic, number), begin in begins.items():
            place = stored.get((topic, number))
            if place is None or begin <= place.position:
                continue
            gap = (topic, number), place.position
            if gap not in self._missed:
                self._missed.add(gap)
                missed[topic] = missed.get(topic, 0) + begin - place.position
        for topic, messages in missed.items():
            self._log.error(
                "a topic dropped messages before they were read",
                topic=topic,
                messages=messages,
                do="keep it for longer than any outage of the sink; docs/runbooks/InstepErrorEventsDropped.md",
            )
            self._metrics.missed(messages, self._clock_us() / 1e6)

    def _lag(self) -> int:
        total = 0
        for (topic, partition), place in self._positions.items():
            end = self._consumer.highwater(TopicPartition(topic, partition))
            if end is not None and place is not None:
                total += max(0, end - place.position)
        return total


def _is_of_another(place: Ingested, topic_id_now: str | None) -> bool:
    return None not in (place.topic_id, topic_id_now) and place.topic_id != topic_id_now


def _is_full(batch: Batch) -> bool:
    return (
        batch.messages >= BATCH_MESSAGES
        or len(batch.heard) >= BATCH_ENTRIES
        or batch.size_bytes >= BATCH_BYTES
    )


def _ignore(*_: Any) -> None:
    """What a commit that nobody depends on answers."""
