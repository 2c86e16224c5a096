"""What a worker remembers of open failures, on PostgreSQL and on SQLite, however many they are."""

import gc
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from plumbing.database import open_engine
from worker.decide import OpenFailure
from worker.message import StoredMessage
from worker.state import store as module
from worker.state.migrate import upgrade
from worker.state.store import StateStore
from worker.state.tables import VERSION_TABLE

_WHEN = datetime(2026, 1, 1, 12, 30, 0, 250_000, tzinfo=UTC)
_ODD = ["", "a'b\"c", "ü→\n", "\\u0000", "x" * 500]


@pytest.fixture
def state(database_url: str) -> Iterator[StateStore]:
    engine = open_engine(database_url)
    upgrade(engine)
    yield StateStore(engine, "group")
    engine.dispose()


def failure(record_id: str, mapping: str = "customers", attempt: int = 1) -> OpenFailure:
    failure_id, carries = f"{attempt}-{record_id}"[:36], frozenset({"number", "name"})
    return OpenFailure(
        mapping, record_id, failure_id, "too_long", "erp", 1, 7, attempt, _WHEN, 1_700_000_000_000, carries
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
    state.forget("customers", {each: failure(each).failure_id for each in ("a", "b")})
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


def parked(offset: int, timestamp_ms: int = 1) -> StoredMessage:
    return StoredMessage("erp", 0, offset, timestamp_ms, b"key", b"value")


def test_records_with_parked_changes_are_found_without_a_failure(state: StateStore) -> None:
    state.park("customers", [("a", parked(1))])
    with state.lock("customers", ["a", "b"]) as found:
        assert not found.failures
        assert found.parked == {"a"}


def test_a_change_that_is_parked_again_is_there_once(state: StateStore) -> None:
    state.park("customers", [("a", parked(1))])
    state.park("customers", [("a", parked(1))])
    assert state.parked_count("customers") == 1


def test_a_parked_change_is_not_taken_for_one_at_the_same_place_of_an_older_topic(state: StateStore) -> None:
    state.park("customers", [("a", parked(1, 1000)), ("b", parked(1, 2000))])
    assert state.parked_records("customers") == {"a", "b"}


def test_what_was_parked_for_a_record_is_dropped_and_nothing_else(state: StateStore) -> None:
    state.park("customers", [("a", parked(1)), ("a", parked(2)), ("b", parked(3))])
    state.drop_parked("customers", ["a"])
    assert state.parked_records("customers") == {"b"}


def test_a_store_of_an_older_worker_keeps_what_it_has(database_url: str) -> None:
    engine = open_engine(database_url)
    migrate_to(engine, "0001")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO instep_open_failure VALUES ('group', 'customers', 'h', 'a', 'f', 'too_long', 'erp', 0, 7, 2, 1700000000000000)"
        )
        connection.exec_driver_sql(
            "INSERT INTO instep_parked_change (worker_group, mapping, topic, partition, position, record_hash, record_id, "
            "timestamp_ms, headers) VALUES ('group', 'customers', 'erp', 0, 8, 'h', 'a', 1, '[]')"
        )
    upgrade(engine)
    store = StateStore(engine, "group")
    with engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT attempt, timestamp_ms, carries FROM instep_open_failure")
        assert tuple(kept.one()) == (2, 1_700_000_000_000, "[]")
    assert store.parked_records("customers") == {"a"}
    engine.dispose()


def migrate_to(engine: Engine, version: str) -> None:
    """Bring a store to an older version of its tables."""
    config = Config()
    config.set_main_option("script_location", "worker.state:migrations")
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes |= {"connection": connection, "version_table": VERSION_TABLE}
        command.upgrade(config, version)


def test_a_record_with_parked_changes_is_found_however_many_others_have(
    state: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FEW", 5)
    store = StateStore(state._engine, "group")
    store.park("customers", [(record, parked(offset)) for offset, record in enumerate("aaaabbbbc")])
    with store.lock("customers", ["c"]) as found:
        assert found.parked == {"c"}


def test_parked_changes_follow_in_the_order_in_which_they_came_whatever_their_clocks_say(
    state: StateStore,
) -> None:
    first, second = parked(1, 2000), parked(2, 1000)
    state.park("customers", [("a", first)])
    state.park("customers", [("a", second)])
    assert state.first_parked("customers", ["a"])["a"].offset == first.offset
    state.unpark("customers", [first])
    assert state.first_parked("customers", ["a"])["a"].offset == second.offset
