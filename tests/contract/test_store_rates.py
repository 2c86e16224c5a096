"""What happened over time, and what the workers did, on PostgreSQL and on SQLite."""

from sink.moment import to_us
from sink.store.rates import read_rates, read_sync_status
from sink.store.store import Store
from tests.contract.stored import NOW, told
from tests.sink_events import at, failed, progress, resolved


def test_rates_count_failures_and_resolutions_where_they_happened(store: Store) -> None:
    told(
        store,
        *(failed("C001", n, seconds=n) for n in range(5)),
        failed("C002", 9, seconds=1000, mapping="contacts"),
    )
    told(store, resolved(failed("C001", 4, seconds=4)), failed("C001", 4, seconds=4))
    with store.reading() as connection:
        rates = read_rates(connection, to_us(at(0)), to_us(at(1000)))
    assert [(each.failed, each.resolved) for each in rates.slots] == [(5, 1), (1, 0)]
    assert rates.mappings == {"customers": 5, "contacts": 1}


def test_sync_status_tells_what_was_done_lately(store: Store) -> None:
    now = 90_000
    told(store, progress(counts={"inserted": 100, "failed": 1}, started_at=at(-9_000_000)))
    told(
        store, progress(seconds=now - 4600, counts={"inserted": 150, "failed": 1}, started_at=at(-9_000_000))
    )
    told(
        store,
        progress(
            seconds=now, counts={"inserted": 170, "failed": 4}, lag_records=7, started_at=at(-9_000_000)
        ),
    )
    # one that began a moment ago, and is paused
    told(
        store,
        progress(
            "w2",
            seconds=now,
            counts={"inserted": 5},
            lag_records=1,
            paused_code="unavailable",
            started_at=at(now - 60),
        ),
    )
    with store.reading() as connection:
        (status,) = read_sync_status(connection, to_us(at(now)) + 1)
    assert (status.mapping, status.direction, status.seen_us) == ("customers", "forward", to_us(at(now)))
    assert status.last_hour == {"inserted": 25, "failed": 3}
    assert status.last_day == {"inserted": 75, "failed": 3}
    assert (status.lag_records, status.paused_code, status.workers) == (8, "unavailable", ("w1", "w2"))


def test_status_of_workers_that_are_gone_names_none(store: Store) -> None:
    told(store, progress(lag_records=7, paused_code="unavailable"))
    with store.reading() as connection:
        (status,) = read_sync_status(connection, NOW)
    assert (status.workers, status.lag_records, status.paused_code) == ((), None, None)


def test_worker_that_starts_again_within_a_slot_keeps_what_it_did(store: Store) -> None:
    told(store, progress(seconds=10, counts={"inserted": 40}))
    told(store, progress(seconds=20, counts={"inserted": 2}, started_at=at(15)))
    with store.reading() as connection:
        (status,) = read_sync_status(connection, to_us(at(30)))
    assert status.last_hour == {"inserted": 42}
