"""What the store promises when the database refuses a value, for a reason that we do not know of; on PostgreSQL and on SQLite."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from schemas.config.process import ForeignTopicConfig
from schemas.events import SyncFailed
from sink.batch import Batch, ValueDroppedError
from sink.foreign.letter import letter_readers
from sink.reimport import Reimported, reimport
from sink.store import bulk, tables
from sink.store.positions import Ingested, read_positions
from sink.store.quarantine import Quarantined, read_quarantine
from sink.store.store import Store, StoreAway
from sink.store.write_batch import Written, decode_batch, write_batch
from tests.contract.stored import NOW, TOPIC, entries, told
from tests.dead_letters import OWN, Message, connect
from tests.sink_events import CODEC, failed, progress, records, resolved

_NAME = "instep_test_refuses"
_REFUSING = {
    "postgresql": f"alter table instep_entry add constraint {_NAME} check (left(record_id, 3) <> 'BAD')",
    "sqlite": f"create trigger {_NAME} before insert on instep_entry when substr(new.record_id, 1, 3) = 'BAD' "
    "begin select raise(abort, 'no'); end",
}
# as PostgreSQL tells it, in the midst of the rows
_RAISING = f"""
create function {_NAME}() returns trigger language plpgsql as $$ begin %s; return new; end $$;
create trigger {_NAME} before insert on instep_entry for each row execute function {_NAME}()
"""
_TAKING = {
    "postgresql": f"alter table instep_entry drop constraint if exists {_NAME}",
    "sqlite": f"drop trigger if exists {_NAME}",
}


@contextmanager
def _refusing(store: Store) -> Iterator[None]:
    """Have the database refuse entries of records that begin with BAD."""
    dialect = store.engine.dialect.name
    with store.writing() as connection:
        connection.exec_driver_sql(_REFUSING[dialect])
    try:
        yield
    finally:
        with store.writing() as connection:
            connection.exec_driver_sql(_TAKING[dialect])


def _quarantined(store: Store) -> list[Quarantined]:
    with store.reading() as connection:
        return read_quarantine(connection, limit=100)


def _failures() -> list[SyncFailed]:
    names = [f"R{number}" for number in range(9)]
    names[2:2] = ["BAD1"]
    names[7:7] = ["BAD2"]
    return [failed(name, offset) for offset, name in enumerate(names)]


def test_all_but_what_the_database_refuses_is_written(store: Store) -> None:
    with _refusing(store):
        told(store, *_failures(), progress())
    assert sorted(each.record_id for each in entries(store)) == [f"R{number}" for number in range(9)]
    with store.reading() as connection:
        assert read_positions(connection, TOPIC) == {(TOPIC, 0): Ingested(12, 11)}


def test_what_the_database_refuses_is_in_quarantine_with_its_bytes_and_why(store: Store) -> None:
    with _refusing(store):
        written = told(store, *_failures())
    found = _quarantined(store)
    assert [each.value for each in found] == [
        CODEC.encode(event) for event in _failures() if event.source.record_id.startswith("BAD")
    ]
    assert all("database refuses" in each.reason and "BAD" not in each.reason for each in found)
    assert (written.counts["failed", "new"], written.counts["failed", "quarantined"]) == (9, 2)


def test_a_resolution_beside_a_refused_entry_is_kept(store: Store) -> None:
    told(store, failed("R1"))
    with _refusing(store):
        told(store, failed("BAD", 1), resolved(failed("R1")))
    assert [each.closed_us is not None for each in entries(store)] == [True]


def test_later_events_of_a_refused_record_wait_with_it(store: Store) -> None:
    with _refusing(store):
        told(store, failed("BAD", 0))
        told(store, resolved(failed("BAD", 0)))
    assert len(_quarantined(store)) == 2


def test_flood_of_a_refused_record_is_read_again_with_its_bytes(store: Store) -> None:
    flood = records([failed("BAD", offset) for offset in range(3)])
    batch, whole = Batch(CODEC), Batch(CODEC, keep_values=True)
    for each in (batch, whole):
        each.add((TOPIC, 0), flood, None, -1)
    with _refusing(store):
        with pytest.raises(ValueDroppedError):
            write_batch(store, decode_batch(batch, NOW), NOW)
        assert isinstance(write_batch(store, decode_batch(whole, NOW), NOW), Written)
    assert len(_quarantined(store)) == 3


def test_refused_messages_stay_in_quarantine_until_the_database_takes_them(store: Store) -> None:
    with _refusing(store):
        told(store, failed("R1", 0), failed("BAD", 1))
        assert reimport(store, CODEC, {}, NOW) == Reimported(0, 1)
    assert reimport(store, CODEC, {}, NOW) == Reimported(1, 0)
    assert sorted(each.record_id for each in entries(store)) == ["BAD", "R1"]
    assert _quarantined(store) == []


def test_a_refused_dead_letter_is_kept_as_it_came_and_imported_later(store: Store) -> None:
    letters = letter_readers([ForeignTopicConfig(topic="orders.dlq", mapping="letters")])
    message = Message(3, b"BAD", headers=(*OWN, *connect()), partition=0, timestamp=1_700_000_000_000)
    batch = Batch(CODEC, letters=letters)
    batch.add(("orders.dlq", 0), [message], None, -1)
    with _refusing(store):
        assert isinstance(write_batch(store, decode_batch(batch, NOW), NOW), Written)
        assert [(each.key, each.value, each.headers) for each in _quarantined(store)] == [
            (message.key, message.value, tuple(message.headers))
        ]
        assert reimport(store, CODEC, letters, NOW) == Reimported(0, 1)
    assert reimport(store, CODEC, letters, NOW) == Reimported(1, 0)
    assert [each.record_id for each in entries(store)] == ["BAD"]


def test_rows_that_are_there_already_are_refused_as_sqlalchemy_tells_it(store: Store) -> None:
    row = ("payload", None, None, "[]", NOW)
    with pytest.raises(IntegrityError), store.writing() as connection:
        bulk.insert_rows(connection, tables.payload, [row, row])


@contextmanager
def _raising(store: Store, statement: str) -> Iterator[None]:
    """Have PostgreSQL do this before each new entry."""
    with store.writing() as connection:
        connection.execute(text(_RAISING % statement))
    try:
        yield
    finally:
        with store.writing() as connection:
            connection.exec_driver_sql(f"drop function {_NAME} cascade")


def test_disk_that_fills_up_while_rows_are_copied_leaves_the_store_away(postgres_store: Store) -> None:
    statement = "raise exception using errcode = 'disk_full'"
    with _raising(postgres_store, statement), pytest.raises(StoreAway):
        told(postgres_store, failed("FULL", 0))


def test_what_a_trigger_raises_is_refused_and_its_words_are_not_told(postgres_store: Store) -> None:
    statement = "if new.record_id = 'BAD' then raise exception 'secret %', new.message; end if"
    with _raising(postgres_store, statement):
        told(postgres_store, failed("R1", 0), failed("BAD", 1))
    assert [each.record_id for each in entries(postgres_store)] == ["R1"]
    reason = "the sink's database refuses it (RaiseException)"
    assert [each.reason for each in _quarantined(postgres_store)] == [reason]
