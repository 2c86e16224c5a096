"""What the worker counts."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from schemas.events import Outcome
from worker.metrics import AGE_BUCKETS_S, ChangeAges, WorkerMetrics

NOW_MS = datetime(2026, 11, 23, tzinfo=UTC).timestamp() * 1000


@given(st.lists(st.integers(-5_000, 1_000_000_000), max_size=50))
def test_ages_of_a_batch_are_counted_as_a_histogram_would_one_by_one(ages_ms: list[int]) -> None:
    registry, reference = CollectorRegistry(), CollectorRegistry()
    ages = ChangeAges(["customers"])
    registry.register(ages)
    histogram = Histogram("age", "", buckets=AGE_BUCKETS_S, registry=reference)

    ages.observe("customers", [int(NOW_MS) - age for age in ages_ms], int(NOW_MS))
    for age in ages_ms:
        histogram.observe(max(0, age / 1000))

    for bound in (*map(str, map(float, AGE_BUCKETS_S)), "+Inf"):
        text = bound.removesuffix(".0") if bound != "+Inf" else bound
        ours = registry.get_sample_value(
            "instep_change_age_seconds_bucket", {"mapping": "customers", "le": text}
        )
        theirs = registry.get_sample_value(
            "instep_change_age_seconds_bucket", {"mapping": "customers", "le": bound}
        )
        expected = reference.get_sample_value("age_bucket", {"le": bound})
        assert (ours if ours is not None else theirs) == expected


def test_known_series_exist_from_the_start_and_are_bounded() -> None:
    registry = CollectorRegistry()

    WorkerMetrics(registry, {f"mapping-{i}": "forward" for i in range(3)}, ["crm"])

    samples = [sample for family in registry.collect() for sample in family.samples]
    assert len(samples) < 1000
    for outcome in Outcome:
        labels = {"mapping": "mapping-0", "direction": "forward", "outcome": outcome.value}
        assert registry.get_sample_value("instep_changes_total", labels) == 0
