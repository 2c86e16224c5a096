"""What the sink's store promises of ingesting and reading, on PostgreSQL and on SQLite."""

import gc

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, inspect, select

from schemas.events import Event
from sink.moment import to_us
from sink.states import State
from sink.store import tables
from sink.store.entries import Filter, page_key, read_ids, read_original, read_page
from sink.store.migrate import upgrade, versions
from sink.store.positions import Ingested, read_positions
from sink.store.quarantine import read_quarantine
from sink.store.statistics import read_statistics
from sink.store.store import Store
from sink.store.write_batch import Fenced, Written
from tests.contract.stored import NOW, TOPIC, entries, ingest, only, told
from tests.sink_events import CODEC, KafkaRecord, at, failed, progress, record, records, resolved


def test_migrated_schema_equals_the_metadata(store: Store) -> None:
    with store.reading() as connection:
        options = {"version_table": tables.VERSION_TABLE, "compare_type": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), tables.metadata) == []


def test_partial_indexes_are_those_of_the_metadata(store: Store) -> None:
    dialect = store.engine.dialect.name
    for table in tables.metadata.tables.values():
        found = {index["name"]: index for index in inspect(store.engine).get_indexes(table.name)}
        for index in table.indexes:
            assert found[index.name]["column_names"] == [column.name for column in index.columns]
            wanted = index.dialect_options[dialect]["where"] is not None
            assert (
                bool(found[index.name].get("dialect_options", {}).get(f"{dialect}_where") is not None)
                == wanted
            )


def test_upgrade_of_an_upgraded_store_changes_nothing(store: Store) -> None:
    before, after = upgrade(store.engine)
    assert before == after == versions(store.engine)[1]


def test_failure_becomes_an_entry_with_all_that_it_says(store: Store) -> None:
    told(store, failed("C001", 5))
    entry = only(store)
    event = failed("C001", 5)
    assert (entry.mapping, entry.record_id, entry.state, entry.count) == ("customers", "C001", State.OPEN, 1)
    assert (entry.source, entry.target, entry.position) == (event.source, event.target, event.position)
    assert (entry.message, entry.parameters) == (event.message, event.parameters)
    assert (entry.first_failed_us, entry.last_failed_us) == (
        to_us(event.first_failed_at),
        to_us(event.failed_at),
    )


def test_message_of_the_change_is_kept_byte_for_byte(store: Store) -> None:
    told(store, failed())
    with store.reading() as connection:
        assert read_original(connection, only(store).payload_id) == failed().original


def test_same_message_in_two_mappings_is_kept_once(store: Store) -> None:
    told(store, failed(mapping="customers"), failed(mapping="contacts"))
    with store.reading() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.payload)) == 1
    assert len(entries(store)) == 2


def test_thousand_failures_of_a_record_are_one_entry(store: Store) -> None:
    told(store, *(failed(offset=n) for n in range(1000)))
    assert (only(store).count, only(store).failure_id) == (1000, failed(offset=999).failure_id)


def test_later_batch_updates_the_entry(store: Store) -> None:
    told(store, failed())
    told(store, failed(offset=1, code="wrong_type"), resolved(failed(offset=1)))
    entry = only(store)
    assert (entry.code, entry.count, entry.state, entry.resolved_by) == (
        "wrong_type",
        2,
        "resolved",
        "superseded",
    )


def test_text_that_the_database_cannot_hold_is_kept_in_a_form_that_it_can(store: Store) -> None:
    told(store, failed("a\x00b" + "x" * 5000, message="NUL \x00 in it"))
    entry = only(store)
    assert "\x00" not in entry.message + entry.record_id
    assert (len(entry.record_id), len(entry.key) > 5000) == (400, True)


def test_batch_moves_the_position_in_the_same_transaction(store: Store) -> None:
    told(store, failed(), failed(offset=1))
    with store.reading() as connection:
        assert read_positions(connection, TOPIC) == {(TOPIC, 0): Ingested(2, 1)}


def test_batches_leave_next_to_nothing_that_only_a_look_for_cycles_would_free(store: Store) -> None:
    # the sink seldom looks for cycles
    told(store, failed("A"))
    told(store, failed("A"))
    gc.collect()
    gc.disable()
    try:
        for number in range(20):
            told(store, failed("B", number), failed("C", number))
        assert gc.collect() < 100 * 20
    finally:
        gc.enable()


@pytest.mark.parametrize("start", [None, 0, 1])
def test_batch_from_where_the_store_does_not_stand_is_fenced_and_leaves_nothing(
    store: Store, start: int | None
) -> None:
    told(store, failed(), failed(offset=1))
    fenced = ingest(store, records([failed("C002", 9)], 2), start=start)
    assert fenced == Fenced(((TOPIC, 0),))
    assert [entry.record_id for entry in entries(store)] == ["C001"]


def test_rereading_from_the_start_changes_no_entry_and_no_count(store: Store) -> None:
    events: list[Event] = [
        *(failed(offset=n) for n in range(30)),
        resolved(failed(offset=29)),
        failed("C002", 31),
    ]
    told(store, *events)
    before = entries(store)
    with store.writing() as connection:
        connection.execute(tables.ingest_position.update().values(position=0))
    written = ingest(store, records(events), start=0, high_water=len(events) - 1)
    assert isinstance(written, Written)
    assert written.counts["failed", "stale"] == 31
    assert entries(store) == before


def test_newer_event_goes_to_quarantine_with_its_bytes_and_the_rest_goes_on(store: Store) -> None:
    newer = KafkaRecord(0, b"key", b"\xc3\x01" + b"8bytes.." + b"whatever")
    ingest(store, [newer, record(failed(), 1)])
    with store.reading() as connection:
        (kept,) = read_quarantine(connection, limit=10)
    assert (kept.value, kept.key, kept.offset, kept.newer) == (newer.value, b"key", 0, True)
    assert only(store).record_id == "C001"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (b"k", None),
        (None, CODEC.encode(failed())),
        (b"k", b""),
        (b"k", b"garbage"),
        (b"[]", CODEC.encode(failed())),
    ],
)
def test_what_is_no_event_goes_to_quarantine(store: Store, key: bytes | None, value: bytes | None) -> None:
    ingest(store, [KafkaRecord(0, key, value)])
    with store.reading() as connection:
        assert len(read_quarantine(connection, limit=10)) == 1
    assert entries(store) == []


def test_resolution_of_a_failure_in_quarantine_waits_behind_it(store: Store) -> None:
    event = record(failed(), 0)
    ingest(
        store, [KafkaRecord(0, event.key, b"\xc3\x01" + b"8bytes.." + b"x"), record(resolved(failed()), 1)]
    )
    with store.reading() as connection:
        assert [each.offset for each in read_quarantine(connection, limit=10)] == [0, 1]


def test_pages_hold_every_entry_once_the_last_failed_first(store: Store) -> None:
    told(store, *(failed(f"C{n:03}", n, seconds=n // 3) for n in range(50)))
    seen: list[str] = []
    after = None
    with store.reading() as connection:
        while page := read_page(connection, Filter(), after=after, limit=7):
            seen += [entry.id for entry in page]
            after = page_key(page[-1])
    assert len(seen) == len(set(seen)) == 50
    assert [entry.last_failed_us for entry in entries(store)] == sorted(
        (entry.last_failed_us for entry in entries(store)), reverse=True
    )


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(states=(State.RESOLVED,)), ["C003"]),
        (Filter(mappings=("contacts",)), ["C002"]),
        (Filter(codes=("wrong_type",)), ["C004"]),
        (Filter(categories=("data",), records=("C001", "C002")), ["C001", "C002"]),
        (Filter(failed_before_us=to_us(at(2))), ["C001"]),
        (Filter(failed_after_us=to_us(at(4))), ["C004"]),
        (Filter(records=("'; drop table instep_entry; --",)), []),
    ],
)
def test_filters_find_what_they_say(store: Store, wanted: Filter, found: list[str]) -> None:
    third = failed("C003", 3)
    told(store, failed("C001", 1), failed("C002", 2, mapping="contacts"), third, resolved(third))
    told(store, failed("C004", 4, code="wrong_type"))
    assert sorted(entry.record_id for entry in entries(store, wanted)) == found


def test_numbers_count_by_mapping_category_and_state(store: Store) -> None:
    told(store, failed("C001", 1), failed("C002", 2), resolved(failed("C002", 2)), progress(seconds=7))
    with store.reading() as connection:
        numbers = read_statistics(connection, NOW)
    assert numbers.entries == {("customers", "data", State.OPEN): 1, ("customers", "data", State.RESOLVED): 1}
    assert numbers.oldest_us == {"customers": to_us(failed("C001", 1).first_failed_at)}
    assert numbers.worker_seen_us == {"customers": to_us(at(7))}
    assert numbers.store_bytes > 0


def test_older_progress_does_not_replace_newer(store: Store) -> None:
    told(store, progress(seconds=20))
    told(store, progress(seconds=10))
    with store.reading() as connection:
        assert read_statistics(connection, NOW).worker_seen_us == {"customers": to_us(at(20))}


def test_ids_are_frozen_in_order_of_failing(store: Store) -> None:
    told(store, failed("C002", 2), failed("C001", 1))
    with store.reading() as connection:
        ids = read_ids(connection, Filter())
    assert [entry.id for entry in reversed(entries(store))] == ids


def test_each_transaction_that_writes_is_told(store: Store) -> None:
    before = store.writes
    with store.writing():
        assert store.writes == before
    assert store.writes != before


def test_a_transaction_that_broke_off_may_have_written_and_is_told_too(store: Store) -> None:
    before = store.writes
    with pytest.raises(ConnectionError), store.writing():
        raise ConnectionError
    assert store.writes != before


def test_reading_is_no_writing(store: Store) -> None:
    before = store.writes
    with store.reading():
        pass
    assert store.writes == before
