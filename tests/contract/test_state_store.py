"""What a worker remembers of open failures, on PostgreSQL and on SQLite, however many they are."""

import gc
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from plumbing.database import open_engine
from worker.decide import OpenFailure
from worker.state import store as module
from worker.state.migrate import upgrade
from worker.state.store import StateStore

_WHEN = datetime(2026, 1, 1, 12, 30, 0, 250_000, tzinfo=UTC)
_ODD = ["", "a'b\"c", "ü→\n", "\\u0000", "x" * 500]


@pytest.fixture
def state(database_url: str) -> Iterator[StateStore]:
    engine = open_engine(database_url)
    upgrade(engine)
    yield StateStore(engine, "group")
    engine.dispose()


def failure(record_id: str, mapping: str = "customers", attempt: int = 1) -> OpenFailure:
    return OpenFailure(
        mapping, record_id, f"{attempt}-{record_id}"[:36], "too_long", "erp", 1, 7, attempt, _WHEN
    )


def locked(state: StateStore, *records: str, mapping: str = "customers") -> dict[str, OpenFailure]:
    with state.lock(mapping, records) as found:
        return dict(found.failures)


def test_what_is_remembered_of_a_record_is_found_again(state: StateStore) -> None:
    failures = [failure(each) for each in _ODD]
    state.remember(failures)
    assert locked(state, "other", *_ODD) == {each.record_id: each for each in failures}


def test_records_without_a_failure_are_not_found(state: StateStore) -> None:
    state.remember([failure("a")])
    assert locked(state, "b", "c") == {}


def test_failures_of_other_mappings_are_not_found(state: StateStore) -> None:
    state.remember([failure("a", mapping="orders")])
    assert locked(state, "a") == {}


@pytest.mark.parametrize("number", [5, 6, 40])
def test_few_and_many_failures_are_found_alike(
    state: StateStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(module, "_FEW", 5)
    state.remember([failure(f"R{each}") for each in range(number)])
    found = locked(state, "R0", "R4", f"R{number - 1}", "none")
    assert found.keys() == {"R0", "R4", f"R{number - 1}"}


def test_only_the_latest_failure_of_a_record_is_remembered(state: StateStore) -> None:
    state.remember([failure("a"), failure("b")])
    state.remember([failure("a", attempt=2)])
    assert locked(state, "a", "b") == {"a": failure("a", attempt=2), "b": failure("b")}


def test_a_failure_that_another_one_followed_is_not_forgotten_with_it(state: StateStore) -> None:
    state.remember([failure("a", attempt=2), failure("b")])
    state.forget("customers", [failure("a"), failure("b")])
    assert locked(state, "a", "b") == {"a": failure("a", attempt=2)}


def test_asking_for_nothing_open_leaves_nothing_that_only_a_look_for_cycles_would_free(
    state: StateStore,
) -> None:
    # a worker asks with every batch, and seldom looks for cycles
    locked(state, "a")
    gc.collect()
    gc.disable()
    try:
        for _ in range(100):
            locked(state, "a")
        assert gc.collect() < 100
    finally:
        gc.enable()
