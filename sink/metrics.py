"""The sink's metrics. Labels are bounded: a mapping or category that the configuration does not know counts as "other"."""

from collections import Counter as CountedFrom
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from schemas.catalogue import catalogue
from schemas.events import ALL_MAPPINGS
from sink.groups import GroupState
from sink.health import Pulse
from sink.states import State, Verdict
from sink.store.sightings import NEW, REGRESSED
from sink.store.statistics import Statistics
from sink.store.write_batch import Written

OTHER = "other"
_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S
_LIFETIME_BUCKETS_S = (60, 600, _HOUR_S, 6 * _HOUR_S, _DAY_S, 3 * _DAY_S, 7 * _DAY_S)
_REPLAY_RESULTS = {
    Verdict.RESOLVED: "resolved",
    Verdict.SUPERSEDED: "resolved",
    Verdict.FAILED_AGAIN: "failed_again",
    Verdict.UNCONFIRMED: "unconfirmed",
}
_EVENTS = {
    "failed": ("new", "repeat", "stale", "quarantined"),
    "resolved": ("new", "repeat", "stale", "quarantined"),
    "progress": ("new", "stale", "quarantined"),
    "unknown": ("stale", "quarantined"),
    "letter": ("new", "repeat", "stale"),
}
_PARTS = ("store", "kafka")
_PURGED = (
    *("entries", "messages", "unused_messages", "quarantine", "audit", "replays", "progress", "sessions"),
    *("rates", "group_rates", "progress_slots", "groups", "jobs"),
)


@dataclass(slots=True, eq=False)
class _StoreNumbers(Collector):
    """Gauges out of the store, refreshed by a timer; a series that was shown once stays, at 0."""

    worked_on: frozenset[str]
    mappings: frozenset[str]
    categories: frozenset[str]
    statistics: Statistics | None = None
    shown: set[tuple[str, str, State]] = field(default_factory=set)

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        now = self.statistics
        if now is None:
            return
        yield self._entries(now)
        oldest: dict[str, float] = {}
        for mapping, us in now.oldest_us.items():
            label = self.mapping(mapping)
            oldest[label] = min(us / 1e6, oldest.get(label, us / 1e6))
        yield self._by_mapping(
            "instep_oldest_open_entry_timestamp_seconds",
            "When the oldest entry that is not closed failed first; 0: there is none.",
            {**dict.fromkeys(self.mappings, 0.0), **oldest},
        )
        # of mappings that the configuration names: nobody works on one that was taken out of it, and rightly so
        yield self._by_mapping(
            "instep_worker_last_seen_timestamp_seconds",
            "When a worker of the mapping last said that it lives; 0: never.",
            {name: now.worker_seen_us.get(name, 0) / 1e6 for name in self.worked_on},
        )
        yield GaugeMetricFamily(
            "instep_replays_in_flight", "Replays sent and not answered yet.", value=now.replays_in_flight
        )
        groups = GaugeMetricFamily("instep_groups", "Groups of entries with one cause.", labels=["state"])
        for state in GroupState:
            groups.add_metric([state], now.groups.get(state, 0))
        yield groups
        yield GaugeMetricFamily("instep_store_bytes", "Size of the sink's tables.", value=now.store_bytes)
        actions = CounterMetricFamily(
            "instep_actions", "What was done by hand.", labels=["action", "via", "result"]
        )
        for labels, number in now.actions.items():
            actions.add_metric(labels, number)
        yield actions

    def mapping(self, name: str) -> str:
        return name if name in self.mappings else OTHER

    def _entries(self, now: Statistics) -> Metric:
        counts: dict[tuple[str, str, State], int] = {}
        for (mapping, category, state), number in now.entries.items():
            key = (self.mapping(mapping), category if category in self.categories else OTHER, state)
            counts[key] = counts.get(key, 0) + number
        self.shown |= counts.keys()
        family = GaugeMetricFamily(
            "instep_entries", "Entries by where they stand.", labels=["mapping", "category", "state"]
        )
        for key in sorted(self.shown):
            family.add_metric(key, counts.get(key, 0))
        return family

    def _by_mapping(self, name: str, text: str, values: dict[str, float]) -> Metric:
        family = GaugeMetricFamily(name, text, labels=["mapping"])
        for mapping, value in sorted(values.items()):
            family.add_metric([mapping], value)
        return family


class SinkMetrics:
    """All metrics of one sink process, in a registry of their own."""

    def __init__(
        self, mappings: Iterable[str], pulse: Pulse, store_limit_bytes: float, foreign: Iterable[str] = ()
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left this one out
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        worked_on = frozenset(mappings)
        known = worked_on | {ALL_MAPPINGS, *foreign}
        categories = frozenset(code.category for code in catalogue().values())
        self._numbers = _StoreNumbers(worked_on, known, categories)
        self._numbers.shown |= {(m, c, State.OPEN) for m in known for c in categories}
        self.registry.register(self._numbers)
        self._events = self._counter(
            "instep_sink_events", "Events of the error topic, and dead letters.", "type", "result"
        )
        self._replays = self._counter("instep_replays", "Replays by how they ended.", "result")
        self._retries = self._counter(
            "instep_scheduled_replays",
            "Replays that the schedule asked for, by what the worker said.",
            "result",
        )
        self._purged = self._counter("instep_purged", "Rows that the retention removed.", "what")
        self._opened = self._counter("instep_groups_opened", "Groups that are new or came back.", "reason")
        self._lifetimes = Histogram(
            "instep_time_to_resolve_seconds",
            "From the first failure of an entry to its end.",
            ["mapping", "how"],
            buckets=_LIFETIME_BUCKETS_S,
            registry=self.registry,
        )
        self._lag = self._gauge("instep_sink_lag_records", "Messages of the error topic yet to be read.")
        self._last_ingest = self._gauge(
            "instep_sink_last_ingest_timestamp_seconds", "When a batch was last written to the store."
        )
        self._missed, self._last_missed = self._of_missed()
        self._refused = 0
        self._show_facts(pulse, store_limit_bytes)
        self._show_known_series()

    def ingested(self, written: Written, at_s: float) -> None:
        """Count a batch of the error topic that is in the store."""
        self._count(written)
        self._last_ingest.set(at_s)

    def lag(self, messages: int) -> None:
        """Show how many messages of the error topic are yet to be read."""
        self._lag.set(messages)

    def missed(self, messages: int, at_s: float) -> None:
        """Count messages that their topic dropped before they were read."""
        self._missed.inc(messages)
        self._last_missed.set(at_s)

    def of_letters(self) -> "LetterMetrics":
        """Return the metrics of what is read from dead letter topics; to be asked for once."""
        return LetterMetrics(
            self._count,
            self.missed,
            self._gauge("instep_foreign_lag_records", "Dead letters of other programs yet to be read."),
            self._gauge(
                "instep_foreign_last_ingest_timestamp_seconds",
                "When dead letters of other programs were last written to the store.",
            ),
        )

    def _count(self, written: Written) -> None:
        for (kind, result), number in written.counts.items():
            self._events.labels(kind, result).inc(number)
        series: dict[tuple[str, str], Histogram] = {}
        for mapping, how, seconds in written.lifetimes:
            if (mapping, how) not in series:
                series[mapping, how] = self._lifetimes.labels(self._numbers.mapping(mapping), how)
            series[mapping, how].observe(seconds)
        for (verdict, scheduled), number in CountedFrom(written.verdicts).items():
            if verdict in _REPLAY_RESULTS:
                counter = self._retries if scheduled else self._replays
                counter.labels(_REPLAY_RESULTS[verdict]).inc(number)
        for reason, number in written.opened.items():
            self._opened.labels(reason).inc(number)

    def unconfirmed(self, number: int) -> None:
        """Count replays that got no answer in time."""
        self._replays.labels("unconfirmed").inc(number)

    def purged(self, what: str, number: int) -> None:
        """Count rows that the retention removed."""
        self._purged.labels(what).inc(number)

    def refreshed(self, statistics: Statistics) -> None:
        """Show the numbers of the store as they are now."""
        self._numbers.statistics = statistics
        # refusals are met by the command line's processes, and known here from the audit log
        self._replays.labels("refused").inc(max(0, statistics.replays_refused - self._refused))
        self._refused = statistics.replays_refused

    def _of_missed(self) -> tuple[Counter, Gauge]:
        return (
            self._counter(
                "instep_sink_missed_messages", "Messages that a topic dropped before they were read."
            ),
            self._gauge(
                "instep_sink_last_missed_timestamp_seconds",
                "When messages were last found missing, dropped before they were read; 0: never.",
            ),
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _show_facts(self, pulse: Pulse, store_limit_bytes: float) -> None:
        self._gauge("instep_store_limit_bytes", "How large the store is meant to grow.").set(
            store_limit_bytes
        )
        hindered = self._gauge(
            "instep_sink_hindered", "1 while this part keeps the sink from working.", "part"
        )
        for part in _PARTS:
            hindered.labels(part).set_function(partial(pulse.is_hindered, part))
        self._gauge("instep_build_info", "The version that runs.", "version").labels(version("instep")).set(1)

    def _show_known_series(self) -> None:
        for kind, results in _EVENTS.items():
            for result in results:
                self._events.labels(kind, result)
        for result in (*_REPLAY_RESULTS.values(), "refused"):
            self._replays.labels(result)
        for result in ("resolved", "failed_again"):
            self._retries.labels(result)
        for reason in (NEW, REGRESSED):
            self._opened.labels(reason)
        for what in _PURGED:
            self._purged.labels(what)


@dataclass(frozen=True, slots=True)
class LetterMetrics:
    """What is told of dead letters: apart from the error topic, as one of the two may stand still."""

    count: Callable[[Written], None]
    missed: Callable[[int, float], None]
    lag_records: Gauge
    last_ingest: Gauge

    def ingested(self, written: Written, at_s: float) -> None:
        """Count a batch that is in the store."""
        self.count(written)
        self.last_ingest.set(at_s)

    def lag(self, messages: int) -> None:
        """Show how many messages are yet to be read."""
        self.lag_records.set(messages)
