"""How workers of one group, each with a state store of its own, keep apart on PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, TextClause, text

from plumbing.database import open_engine
from tests.integration.sink_running import eventually
from worker.decide import OpenFailure
from worker.state.migrate import upgrade
from worker.state.store import StateStore

_WHEN = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
_MANY = [f"R{number}" for number in range(600)]
_LOCKS = "select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())"
_GRANTED, _AWAITED = text(f"{_LOCKS} and granted"), text(f"{_LOCKS} and not granted")


@pytest.fixture
def engines(pg_database: str) -> Iterator[tuple[Engine, Engine]]:
    """Those of two workers; all of _MANY have failed."""
    mine, other = open_engine(pg_database), open_engine(pg_database)
    upgrade(mine)
    failures = [OpenFailure("customers", each, each, "too_long", "erp", 0, 0, 1, _WHEN, 0) for each in _MANY]
    StateStore(mine, "group").remember(failures)
    yield mine, other
    mine.dispose()
    other.dispose()


@pytest.fixture
def beside() -> Iterator[ThreadPoolExecutor]:
    """A thread for the other worker."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


def _lock(engine: Engine, records: list[str]) -> int:
    """Lock records as the other worker does; returns how many of them had failed."""
    with StateStore(engine, "group").lock("customers", records) as found:
        return len(found.failures)


def _count(engine: Engine, query: TextClause) -> int:
    with engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


def test_batch_with_many_open_failures_takes_few_locks(engines: tuple[Engine, Engine]) -> None:
    mine, other = engines
    with StateStore(mine, "group").lock("customers", _MANY) as found:
        assert (len(found.failures), _count(other, _GRANTED)) == (600, 1)


@pytest.mark.parametrize(
    ("first", "second"),
    [(["R7"], ["R7"]), (_MANY, ["R7"]), (["R7"], _MANY), (_MANY, _MANY)],
    ids=["one-one", "all-one", "one-all", "all-all"],
)
def test_who_wants_a_record_that_another_worker_has_locked_waits_for_it(
    engines: tuple[Engine, Engine], beside: ThreadPoolExecutor, first: list[str], second: list[str]
) -> None:
    mine, other = engines
    with StateStore(mine, "group").lock("customers", first):
        found = beside.submit(_lock, other, second)
        eventually(lambda: _count(mine, _AWAITED) == 1)
        assert not found.done()
    assert found.result(10) == len(second)


def test_workers_that_lock_different_records_do_not_wait(
    engines: tuple[Engine, Engine], beside: ThreadPoolExecutor
) -> None:
    mine, other = engines
    with StateStore(mine, "group").lock("customers", _MANY[:200]):
        assert beside.submit(_lock, other, _MANY[200:400]).result(10) == 200
