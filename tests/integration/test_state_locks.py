"""How workers of one group, each with a state store of its own, keep apart on PostgreSQL."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, TextClause, text
from sqlalchemy.exc import DBAPIError

from plumbing.database import open_engine
from schemas.events import Decision, Position, ReplayRequest
from tests.integration.sink_running import eventually
from worker.decide import OpenFailure
from worker.state.migrate import upgrade
from worker.state.store import StateStore

_WHEN = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
_MANY = [f"R{number}" for number in range(600)]
_LOCKS = "from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())"
_GRANTED, _AWAITED = (text(f"select count(*) {_LOCKS} and {which}") for which in ("granted", "not granted"))
_END_LOCKERS = text(f"select pg_terminate_backend(pid) {_LOCKS}")


@pytest.fixture
def engines(pg_database: str) -> Iterator[tuple[Engine, Engine]]:
    """Those of two workers; all of _MANY have failed."""
    mine, other = open_engine(pg_database), open_engine(pg_database)
    upgrade(mine)
    StateStore(mine, "group").remember(list(map(_failure, _MANY)))
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


def _failure(record: str, failure_id: str | None = None) -> OpenFailure:
    """Return a failure of a record, by default the one called as the record is."""
    return OpenFailure("customers", record, failure_id or record, "too_long", "erp", 0, 0, 1, _WHEN, 0)


def _request(record: str, failure_id: str | None = None, offset: int = 0) -> ReplayRequest:
    """Return a request to try a record's failure again."""
    place = Position("erp", 0, offset, 0)
    return ReplayRequest(
        "p", failure_id or record, "customers", "forward", record, Decision.RETRY, False, place, None
    )


def _lock_replayed(engine: Engine, records: list[str]) -> int:
    """Lock records for their replays and forget what these name; returns how many there were."""
    with StateStore(engine, "group").lock_replayed("customers", map(_request, records)) as found:
        found.forget()
        return len(found.confirmed)


def _open(engine: Engine, records: list[str]) -> dict[str, str]:
    """Return the ids of the open failures of records."""
    found = StateStore(engine, "group").open_failures("customers", records)
    return {record: each.failure_id for record, each in found.items()}


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


@pytest.mark.parametrize("records", [["R7"], _MANY], ids=["one", "all"])
def test_failures_that_replays_name_are_gone_once_they_are_to_be_forgotten(
    engines: tuple[Engine, Engine], records: list[str]
) -> None:
    mine, other = engines
    with StateStore(mine, "group").lock_replayed("customers", map(_request, records)) as found:
        assert (found.confirmed, found.failures) == (set(records), {})
        assert len(_open(other, records)) == len(records)
        found.forget()
    assert _open(other, _MANY).keys() == set(_MANY) - set(records)


def test_failures_that_replays_name_stay_where_the_lock_just_ends(engines: tuple[Engine, Engine]) -> None:
    mine, other = engines
    with StateStore(mine, "group").lock_replayed("customers", map(_request, _MANY)):
        pass
    assert len(_open(other, _MANY)) == len(_MANY)


def test_failures_that_are_kept_can_be_followed_by_others_within_the_lock(
    engines: tuple[Engine, Engine], beside: ThreadPoolExecutor
) -> None:
    mine, other = engines
    store = StateStore(mine, "group")
    with store.lock_replayed("customers", map(_request, ["R1", "R2"])) as found:
        found.keep()
        store.remember([_failure("R1", "again")])
        store.forget("customers", {"R2": "R2"})
        waiting = beside.submit(_lock, other, ["R1"])
        eventually(lambda: _count(mine, _AWAITED) == 1)
    assert waiting.result(10) == 1
    assert _open(other, ["R1", "R2"]) == {"R1": "again"}


def test_failures_that_replays_name_wrongly_are_read_and_kept(engines: tuple[Engine, Engine]) -> None:
    mine, other = engines
    asked = [_request("R1", "outdated"), _request("none"), _request("R3")]
    with StateStore(mine, "group").lock_replayed("customers", asked) as found:
        assert (found.confirmed, found.failures) == ({"R3"}, {"R1": _failure("R1")})
        found.forget()
    assert _open(other, ["R1", "R3"]) == {"R1": "R1"}


@pytest.mark.parametrize(
    "corrupt", [_request("R1", offset=1), _request("R1", "R2")], ids=["offset", "of-another-record"]
)
def test_corrupt_request_has_nothing_forgotten_by_its_word(
    engines: tuple[Engine, Engine], corrupt: ReplayRequest
) -> None:
    mine, other = engines
    asked = [corrupt, _request("R2", "outdated"), _request("R3")]
    with StateStore(mine, "group").lock_replayed("customers", asked) as found:
        assert not found.confirmed
        assert found.failures.keys() == {"R1", "R2", "R3"}
        found.forget()
        found.keep()
    assert len(_open(other, _MANY)) == len(_MANY)


@pytest.mark.parametrize("level", ["read committed", "repeatable read"])
def test_who_waited_for_a_lock_sees_what_happened_meanwhile(
    engines: tuple[Engine, Engine], beside: ThreadPoolExecutor, level: str
) -> None:
    mine, other = engines
    with mine.begin() as connection:
        name = connection.engine.url.database
        connection.execute(text(f"alter database {name} set default_transaction_isolation = '{level}'"))
    mine.dispose()
    with StateStore(mine, "group").lock_replayed("customers", map(_request, _MANY)) as found:
        waiting = beside.submit(_lock_replayed, other, _MANY)
        eventually(lambda: _count(mine, _AWAITED) == 1)
        found.forget()
    assert waiting.result(10) == 0


def _lose_the_lock(engine: Engine, other: Engine) -> None:
    """Lock records for their replays, lose the connection that holds the locks, and forget what the replays name."""
    with StateStore(engine, "group").lock_replayed("customers", map(_request, _MANY)) as found:
        with other.begin() as connection:
            connection.execute(_END_LOCKERS)
        found.forget()


def test_failures_stay_when_the_connection_that_forgot_them_is_lost(engines: tuple[Engine, Engine]) -> None:
    mine, other = engines
    with pytest.raises(DBAPIError):
        _lose_the_lock(mine, other)
    assert len(_open(other, _MANY)) == len(_MANY)
    assert _lock_replayed(mine, _MANY) == len(_MANY)


def test_workers_that_lock_different_records_do_not_wait(
    engines: tuple[Engine, Engine], beside: ThreadPoolExecutor
) -> None:
    mine, other = engines
    with StateStore(mine, "group").lock("customers", _MANY[:200]):
        assert beside.submit(_lock, other, _MANY[200:400]).result(10) == 200
