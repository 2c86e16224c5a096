"""From the error topic into the store, exactly once: the position in the topic stands in the store, in the same transaction.

The loop gathers and decodes a batch while the batch before it is written in another thread. Whenever it cannot be sure
where it stands (partitions came, another sink wrote, the store was away) it drops what it holds, asks the store and goes on
from there. While the store is away all partitions are paused and polling goes on, so that the group keeps us.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import structlog
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from plumbing.kafka import topic_id
from plumbing.unreachable import UnreachableError
from schemas.codec import Codec
from sink.batch import Batch, Partition, ValueDroppedError
from sink.health import Pulse
from sink.metrics import SinkMetrics
from sink.store.positions import Ingested, read_positions, start_anew
from sink.store.store import Store, StoreAway
from sink.store.write_batch import Decoded, Fenced, Written, decode_batch, write_batch

LOOP = "ingest"
# What a batch may hold. Many messages, so that of a flood few are decoded; few entries, as theirs take the memory.
BATCH_MESSAGES = 50_000
BATCH_ENTRIES = 2500
BATCH_BYTES = 6 << 20
BATCH_SECONDS = 2.0
_POLL_MS = 200
_BRIEF_MS = 20
_POLL_MESSAGES = 2000
_AGAIN_S = 1.0

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


class Ingest:
    """The loop over one topic; `clock_us` tells the time in microseconds since 1970."""

    def __init__(
        self,
        store: Store,
        consumer: KafkaConsumer,
        codec: Codec,
        topic: str,
        *,
        metrics: SinkMetrics,
        pulse: Pulse,
        clock_us: Callable[[], int],
    ) -> None:
        self._store = store
        self._consumer = consumer
        self._codec = codec
        self._topic = topic
        self._topic_id: str | None = None
        self._metrics = metrics
        self._pulse = pulse
        self._clock_us = clock_us
        self._log = structlog.get_logger()
        self._assignment = _Assignment()
        self._positions: dict[Partition, Ingested | None] = {}
        self._in_store: dict[Partition, int] = {}
        self._lost = True
        self._keep_values = False
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._writing: tuple[Decoded, Future[Written | Fenced]] | None = None

    def run(self, stop: threading.Event) -> None:
        """Ingest until `stop`, then end the batch that is being written."""
        self._consumer.subscribe([self._topic], listener=self._assignment)
        try:
            while not stop.is_set():
                self._pulse.beat(LOOP)
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
        """Whether partitions came or went, or the topic is another one of the same name."""
        return self._assignment.changed or topic_id(self._consumer, self._topic) != self._topic_id

    def _gather(self, stop: threading.Event) -> Batch:
        """Poll until the batch is full or has taken long enough; while one is being written there is no hurry."""
        batch = Batch(self._codec, keep_values=self._keep_values, topic_id=self._topic_id)
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
            return decode_batch(batch) if batch.messages else None
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
        except StoreAway as error:
            self._lose_place(_STORE, f"the database is away: {type(error).__name__}")
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
            self._log.warning("ingest waits", reason=why)
        self._lost = True
        self._pulse.hindered(part, why)
        assigned = self._consumer.assignment()
        if assigned:
            self._consumer.pause(*assigned)

    def _find_place(self) -> bool:
        """Go to where the store stands in each partition; False while the store is away or no partition is ours."""
        self._lost = True
        self._assignment.changed = False
        self._topic_id = topic_id(self._consumer, self._topic)
        assigned = self._consumer.assignment()
        if not assigned:
            self._positions = {}
            why = self._why_nothing_is_ours()
            self._pulse.hindered(_KAFKA, why)
            self._lost = why is not None
            return why is None
        try:
            stored = self._stored_positions(assigned)
        except StoreAway as error:
            self._lose_place(_STORE, f"the database is away: {type(error).__name__}")
            return False
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
        self._pulse.hindered(_STORE, None)
        self._pulse.hindered(_KAFKA, None)
        self._log.info("ingesting", topic=self._topic, partitions=sorted(p.partition for p in assigned))
        return True

    def _why_nothing_is_ours(self) -> str | None:
        if not self._consumer.partitions_for_topic(self._topic):
            return f"topic {self._topic} does not exist; create it with `instep topics create`"
        if self._consumer.group_metadata().generation_id < 0:
            return "waiting to be let into the consumer group"
        return None  # more sinks than partitions: this one stands by

    def _stored_positions(self, assigned: set[TopicPartition]) -> dict[Partition, Ingested]:
        with self._store.reading() as connection:
            stored = read_positions(connection, self._topic)
        ends = self._consumer.end_offsets(list(assigned))
        anew = []
        for partition, end in ends.items():
            place = stored.get((partition.topic, partition.partition))
            if place is not None and (end < place.position or self._is_of_another(place)):
                anew.append((partition.topic, partition.partition))
        if anew:
            self._log.warning("the topic was created anew; reading it from its start", topic=self._topic)
            with self._store.writing() as connection:
                start_anew(connection, anew)
        return {partition: place for partition, place in stored.items() if partition not in anew}

    def _is_of_another(self, place: Ingested) -> bool:
        return None not in (place.topic_id, self._topic_id) and place.topic_id != self._topic_id

    def _lag(self) -> int:
        total = 0
        for (topic, partition), place in self._positions.items():
            end = self._consumer.highwater(TopicPartition(topic, partition))
            if end is not None and place is not None:
                total += max(0, end - place.position)
        return total


def _is_full(batch: Batch) -> bool:
    return (
        batch.messages >= BATCH_MESSAGES
        or len(batch.heard) >= BATCH_ENTRIES
        or batch.size_bytes >= BATCH_BYTES
    )


def _ignore(*_: Any) -> None:
    """What a commit that nobody depends on answers."""
