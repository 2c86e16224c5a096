"""The worker's metrics, by the names of the documentation."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from schemas.catalogue import Scope, catalogue
from schemas.events import Outcome
from worker.batch import Batch
from worker.settle import Settled

LAG_PERIOD_S = 1.0
POSITION_TIMEOUT_MS = 100
AGE_BUCKETS_S = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86400, 604800)
BATCH_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
SIZE_BUCKETS = (1, 10, 50, 100, 500, 1000, 2000, 5000, 10000, 50000)


class ChangeAges(Collector):
    """A histogram that takes a whole batch at once: one observation a record would cost more than its decoding."""

    def __init__(self, mappings: Iterable[str]) -> None:
        self._counts = {name: [0] * (len(AGE_BUCKETS_S) + 1) for name in mappings}
        self._sums = dict.fromkeys(self._counts, 0.0)

    def observe(self, mapping: str, changed_at_ms: Sequence[int], now_ms: float) -> None:
        """Add the ages of a batch of changes."""
        # what is newer than now, as clocks differ, counts as of now
        ordered = sorted(changed_at_ms)
        counts, below = self._counts[mapping], 0
        for i, bound in enumerate(AGE_BUCKETS_S):
            upto = len(ordered) - bisect_left(ordered, now_ms - bound * 1000)
            counts[i] += upto - below
            below = upto
        counts[-1] += len(ordered) - below
        past = ordered[: bisect_right(ordered, now_ms)]
        self._sums[mapping] += (now_ms * len(past) - sum(past)) / 1000

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the histogram."""
        name = "instep_change_age_seconds"
        family = HistogramMetricFamily(
            name, "From the change in the source to its outcome", labels=["mapping"]
        )
        for mapping, counts in self._counts.items():
            total, buckets = 0, []
            for bound, count in zip((*map(str, AGE_BUCKETS_S), "+Inf"), counts, strict=True):
                total += count
                buckets.append((bound, total))
            family.add_metric([mapping], buckets, self._sums[mapping])
        yield family


class WorkerMetrics:
    """Everything that a worker counts; known series exist from the start, at 0."""

    def __init__(self, registry: CollectorRegistry, mappings: Mapping[str, str], apps: Sequence[str]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left this one out
        self._directions = mappings
        self._lags: dict[tuple[str, int], int] = {}
        self._lag_at_s = 0.0
        self.ages = ChangeAges(mappings)
        registry.register(self.ages)
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self.changes = counter("instep_changes", "Changes by outcome", ["mapping", "direction", "outcome"])
        self.failures = counter("instep_failures", "Failed changes by code", ["mapping", "category", "code"])
        self.failure_events = counter("instep_failure_events", "Events sent to the error topic", ["result"])
        self.batch_seconds = histogram(
            "instep_batch_seconds", "Time to settle a batch", ["mapping"], buckets=BATCH_BUCKETS_S
        )
        self.batch_records = histogram(
            "instep_batch_records", "Changes in a batch", ["mapping"], buckets=SIZE_BUCKETS
        )
        self.splits = counter("instep_batch_splits", "Bulk writes that had to be divided", ["mapping"])
        self.retries = counter("instep_retries", "Tries after the first", ["mapping", "code"])
        self.lag = gauge("instep_lag_records", "Messages not yet polled", ["topic", "partition"])
        self.last_poll = gauge(
            "instep_last_poll_timestamp_seconds", "When the loop last asked Kafka; 0: never"
        )
        self.settling_since = gauge(
            "instep_settling_since_timestamp_seconds",
            "When the write under way began; 0: none is",
            ["mapping"],
        )
        self.paused = gauge("instep_app_paused", "1 while the app is paused", ["app"])
        self.parked = gauge("instep_parked_changes", "Changes that wait behind a failure", ["mapping"])
        self._create_series(mappings, apps)

    def _create_series(self, mappings: Mapping[str, str], apps: Sequence[str]) -> None:
        for name, direction in mappings.items():
            for outcome in Outcome:
                self.changes.labels(name, direction, outcome.value)
            for code in catalogue().values():
                if code.scope is not Scope.APP:
                    self.failures.labels(name, code.category, code.name)
                if code.retry.in_place:
                    self.retries.labels(name, code.name)
            self.batch_seconds.labels(name)
            self.batch_records.labels(name)
            self.splits.labels(name)
            self.parked.labels(name)
            self.settling_since.labels(name)
        for result in ("acknowledged", "error"):
            self.failure_events.labels(result)
        for app in apps:
            self.paused.labels(app)

    def note_lag(self, consumer: KafkaConsumer, now_s: float) -> None:
        """Measure, once a second at most, how far behind the topics' ends this worker is."""
        if now_s < self._lag_at_s + LAG_PERIOD_S:
            return
        self._lag_at_s = now_s
        self.last_poll.set_to_current_time()
        known = lags(consumer)
        for topic, partition in set(self._lags) - {(each.topic, each.partition) for each in known}:
            self.lag.remove(topic, str(partition))
        self._lags = {(place.topic, place.partition): lag for place, lag in known.items()}
        for (topic, partition), lag in self._lags.items():
            self.lag.labels(topic, str(partition)).set(lag)

    def lag_of(self, topic: str) -> int | None:
        """Return the lag of this worker's partitions of a topic; None while it has none or knows none."""
        mine = [lag for (name, _), lag in self._lags.items() if name == topic]
        return sum(mine) if mine else None

    def count(self, mapping: str, counts: Mapping[Outcome, int]) -> None:
        """Count outcomes."""
        for outcome, count in counts.items():
            if count:
                self.changes.labels(mapping, self._directions[mapping], outcome.value).inc(count)

    @contextmanager
    def settling(self, mapping: str) -> Iterator[None]:
        """Tell since when a mapping's changes are being settled, until the end of the block."""
        since = self.settling_since.labels(mapping)
        since.set_to_current_time()
        try:
            yield
        finally:
            since.set(0)

    def settled(self, mapping: str, settled: Settled) -> None:
        """Count failures, splits and retries of a round; a replay that fails again is no other failed change."""
        for failure in settled.failures:
            if failure.replay_id is None:
                self.failures.labels(mapping, failure.category, failure.code).inc()
        if settled.splits:
            self.splits.labels(mapping).inc(settled.splits)
        for code, count in settled.retries.items():
            self.retries.labels(mapping, code).inc(count)

    def batch_done(self, batch: Batch, seconds: float, now: datetime) -> None:
        """Observe a batch that is settled."""
        now_ms = now.timestamp() * 1000
        for part in batch.parts:
            name = part.mapping.name
            if part.messages:
                self.batch_seconds.labels(name).observe(seconds)
                self.batch_records.labels(name).observe(len(part.messages))
                self.ages.observe(name, part.changed_at_ms, now_ms)


def lags(consumer: KafkaConsumer) -> Mapping[TopicPartition, int]:
    """Return how many messages of each assigned partition are not polled yet, as far as the last fetch told."""
    known: dict[TopicPartition, int] = {}
    for place in consumer.assignment():
        end = consumer.highwater(place)
        position = position_of(consumer, place) if end is not None else None
        if end is not None and position is not None:
            known[place] = max(0, end - position)
    return known


def position_of(consumer: KafkaConsumer, place: TopicPartition) -> int | None:
    """Return the offset of the next message to be polled; None while it cannot be told."""
    try:
        position: int | None = consumer.position(place, timeout_ms=POSITION_TIMEOUT_MS)
    except KafkaError:
        return None
    return position
