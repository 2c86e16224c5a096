"""What the sink's store promises, on PostgreSQL and on SQLite."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, inspect, select

from schemas.events import Event, Resolution
from sink.batch import Batch
from sink.states import Action, Refusal, State, Verdict
from sink.store import tables
from sink.store.entries import (
    Entry,
    Filter,
    page_key,
    read_all,
    read_ids,
    read_original,
    read_page,
    read_replays,
)
from sink.store.migrate import upgrade, versions
from sink.store.positions import Ingested, read_positions
from sink.store.progress import paused_mappings
from sink.store.quarantine import read_quarantine
from sink.store.replays import claim, due_entries, mark_sent, read_verdicts, release, time_out
from sink.store.statistics import read_statistics
from sink.store.store import Store, open_store
from sink.store.transitions import Moved, Refused, Request, Step, close_by_hand, request_replays
from sink.store.write_batch import Fenced, Written, decode_batch, write_batch
from sink.moment import to_us
from tests.sink_events import CODEC, KafkaRecord, START, at, failed, progress, record, records, resolved

TOPIC = "instep.errors"
NOW = to_us(at(10_000))


@pytest.fixture(params=["postgresql", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path}/sink.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("pg_database")
    opened = open_store(url)
    upgrade(opened.engine)
    yield opened
    opened.close()


def ingest(
    store: Store, messages: Sequence[KafkaRecord], *, start: int | None = None, high_water: int = -1
) -> Written | Fenced:
    batch = Batch(CODEC)
    batch.add((TOPIC, messages[0].partition), messages, start, high_water)
    return write_batch(store, decode_batch(batch), NOW)


def told(store: Store, *events: Event) -> Written:
    """Ingest events behind what was ingested before."""
    with store.reading() as connection:
        place = read_positions(connection, TOPIC).get((TOPIC, 0))
    start = None if place is None else place.position
    written = ingest(store, records(events, start or 0), start=start)
    assert isinstance(written, Written)
    return written


def entries(store: Store, wanted: Filter | None = None) -> list[Entry]:
    with store.reading() as connection:
        return list(read_all(connection, wanted or Filter()))


def only(store: Store) -> Entry:
    (entry,) = entries(store)
    return entry


def request(actor: str = "ann", *, scheduled: bool = False) -> Request:
    numbers = iter(range(1, 10_000))
    return Request(actor, NOW, lambda: f"{actor}-{next(numbers)}", scheduled=scheduled, reason="because")


def replayed(store: Store, *ids: str, asks: Request | None = None) -> list[Step]:
    with store.writing() as connection:
        return request_replays(connection, ids, asks or request())


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


@pytest.mark.parametrize("start", [None, 0, 1])
def test_batch_from_where_the_store_does_not_stand_is_fenced_and_leaves_nothing(
    store: Store, start: int | None
) -> None:
    told(store, failed(), failed(offset=1))
    fenced = ingest(store, records([failed("C002", 9)], 2), start=start)
    assert fenced == Fenced(((TOPIC, 0),))
    assert [entry.record_id for entry in entries(store)] == ["C001"]


def test_rereading_from_the_start_changes_no_entry_and_no_count(store: Store) -> None:
    events = [*(failed(offset=n) for n in range(30)), resolved(failed(offset=29)), failed("C002", 31)]
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


def test_replay_is_asked_for_once(store: Store) -> None:
    told(store, failed())
    entry_id = only(store).id
    assert replayed(store, entry_id) == [Moved(entry_id, "ann-1")]
    assert replayed(store, entry_id) == [Refused(entry_id, State.REPLAYING, Refusal.UNDER_WAY)]
    assert only(store).state is State.REPLAYING


def test_replay_of_what_does_not_exist_or_is_over_is_refused(store: Store) -> None:
    told(store, failed(), resolved(failed()))
    entry_id = only(store).id
    assert replayed(store, entry_id, "0" * 16) == [
        Refused(entry_id, State.RESOLVED, Refusal.CLOSED),
        Refused("0" * 16, None, Refusal.NOT_FOUND),
    ]


def test_replay_into_a_paused_app_is_refused_until_it_resumes(store: Store) -> None:
    told(store, failed(), progress(paused_code="unavailable", seconds=9_999))
    entry_id = only(store).id
    assert replayed(store, entry_id) == [Refused(entry_id, State.OPEN, Refusal.PAUSED)]
    told(store, progress(seconds=10_000))
    assert replayed(store, entry_id) == [Moved(entry_id, "ann-1")]


def test_pause_told_by_a_worker_that_fell_silent_holds_nobody(store: Store) -> None:
    told(store, progress(paused_code="unavailable", seconds=1))
    with store.reading() as connection:
        assert paused_mappings(connection, NOW) == {}


def test_app_failure_cannot_be_replayed(store: Store) -> None:
    told(store, failed("crm", mapping="*", scope="app", position=None, original=None))
    assert replayed(store, only(store).id) == [Refused(only(store).id, State.OPEN, Refusal.APP_FAILURE)]


def test_request_carries_the_original_and_goes_out_once(store: Store) -> None:
    told(store, failed())
    replayed(store, only(store).id)
    with store.writing() as connection:
        (outgoing,) = claim(connection, NOW, 10)
    with store.writing() as connection:
        assert claim(connection, NOW + 1, 10) == []
    assert outgoing.topic == "erp-crm.replay"
    assert outgoing.request.original == failed().original
    assert (outgoing.request.failure_id, outgoing.request.record_id) == (failed().failure_id, "C001")


def test_request_that_was_not_sent_is_given_back(store: Store) -> None:
    told(store, failed())
    replayed(store, only(store).id)
    with store.writing() as connection:
        (outgoing,) = claim(connection, NOW, 10)
        release(connection, [outgoing.request.replay_id])
    with store.writing() as connection:
        assert len(claim(connection, NOW + 1, 10)) == 1


def test_request_of_a_sink_that_died_is_sent_by_another(store: Store) -> None:
    told(store, failed())
    replayed(store, only(store).id)
    with store.writing() as connection:
        claim(connection, NOW, 10)
    with store.writing() as connection:
        assert len(claim(connection, NOW + 61_000_000, 10)) == 1


def test_request_whose_entry_shows_a_newer_failure_is_not_sent(store: Store) -> None:
    told(store, failed())
    replayed(store, only(store).id)
    told(store, failed(offset=1))
    with store.writing() as connection:
        assert claim(connection, NOW, 10) == []
        assert read_verdicts(connection, ["ann-1"]) == {"ann-1": (Verdict.SUPERSEDED, None)}


def test_verdict_of_the_worker_settles_the_replay(store: Store) -> None:
    told(store, failed())
    replayed(store, only(store).id)
    told(store, resolved(failed(), Resolution.REPLAY, replay_id="ann-1"))
    assert (only(store).state, only(store).resolved_by) == (State.RESOLVED, "replay")
    with store.reading() as connection:
        assert [each.verdict for each in read_replays(connection, only(store).id)] == ["resolved"]


def test_answers_to_several_replays_at_once_settle_each(store: Store) -> None:
    told(store, failed("C1"), failed("C2"))
    replayed(store, *(entry.id for entry in entries(store)))
    answers = {"C1": "ann-1", "C2": "ann-2"}
    told(store, *(resolved(failed(c), Resolution.REPLAY, replay_id=asked) for c, asked in answers.items()))
    with store.reading() as connection:
        verdicts = read_verdicts(connection, ["ann-1", "ann-2"])
    assert verdicts == dict.fromkeys(verdicts, (Verdict.RESOLVED, None))
    assert len(verdicts) == 2


def test_replay_that_fails_again_opens_the_entry_with_the_new_failure(store: Store) -> None:
    told(store, failed())
    replayed(store, only(store).id)
    told(store, failed(attempt=2, replay_id="ann-1", code="wrong_type"), failed(offset=1))
    entry = only(store)
    assert (entry.state, entry.count) == (State.OPEN, 3)
    with store.reading() as connection:
        assert read_verdicts(connection, ["ann-1"]) == {"ann-1": (Verdict.FAILED_AGAIN, "wrong_type")}


def sent(store: Store) -> str:
    """Ask for a replay of the only entry and mark it as sent."""
    (step,) = replayed(store, only(store).id)
    assert isinstance(step, Moved)
    assert step.replay_id is not None
    with store.writing() as connection:
        claim(connection, NOW, 10)
        mark_sent(connection, [step.replay_id], NOW)
    return step.replay_id


def test_replay_without_an_answer_is_unconfirmed_and_a_late_verdict_counts(store: Store) -> None:
    told(store, failed())
    replay_id = sent(store)
    with store.writing() as connection:
        assert time_out(connection, NOW + 1, NOW + 1, 10).unconfirmed == 1
    assert only(store).state is State.UNCONFIRMED
    told(store, resolved(failed(), Resolution.REPLAY, replay_id=replay_id))
    assert only(store).state is State.RESOLVED
    with store.reading() as connection:
        assert read_verdicts(connection, [replay_id])[replay_id][0] is Verdict.RESOLVED


def test_replay_that_was_never_sent_opens_again(store: Store) -> None:
    told(store, failed())
    replayed(store, only(store).id)
    with store.writing() as connection:
        assert time_out(connection, NOW + 1, NOW + 1, 10).not_sent == 1
    assert only(store).state is State.OPEN


def test_waiting_entry_is_due_at_its_time_and_not_into_a_paused_app(store: Store) -> None:
    told(store, failed(seconds=0, retry_s=60))
    with store.writing() as connection:
        assert due_entries(connection, to_us(at(59)), 10) == []
        assert due_entries(connection, to_us(at(60)), 10) == [only(store).id]
    told(store, progress(paused_code="unavailable", seconds=60))
    with store.writing() as connection:
        assert due_entries(connection, to_us(at(61)), 10) == []


@pytest.mark.parametrize(
    ("action", "state", "by"),
    [(Action.RESOLVE, State.RESOLVED, "hand"), (Action.DISCARD, State.DISCARDED, None)],
)
def test_closing_by_hand_makes_the_worker_forget(
    store: Store, action: Action, state: State, by: str | None
) -> None:
    told(store, failed())
    with store.writing() as connection:
        close_by_hand(connection, [only(store).id], action, request())
        (outgoing,) = claim(connection, NOW, 10)
    entry = only(store)
    assert (entry.state, entry.resolved_by, entry.closed_by, entry.reason) == (state, by, "ann", "because")
    assert outgoing.request.decision == "drop"


def test_closed_by_hand_stays_so_when_the_worker_has_forgotten(store: Store) -> None:
    told(store, failed())
    with store.writing() as connection:
        close_by_hand(connection, [only(store).id], Action.DISCARD, request())
    told(store, resolved(failed(), Resolution.DROPPED, replay_id="ann-1"))
    assert only(store).state is State.DISCARDED


@pytest.mark.parametrize("action", [Action.RESOLVE, Action.DISCARD])
def test_closing_an_entry_under_way_or_over_is_refused(store: Store, action: Action) -> None:
    told(store, failed("C001", 1), failed("C002", 2), resolved(failed("C002", 2)))
    ids = [entry.id for entry in sorted(entries(store), key=lambda entry: entry.record_id)]
    replayed(store, ids[0])
    with store.writing() as connection:
        steps = close_by_hand(connection, ids, action, request())
    assert [step.reason for step in steps if isinstance(step, Refused)] == [Refusal.UNDER_WAY, Refusal.CLOSED]


def test_numbers_count_by_mapping_category_and_state(store: Store) -> None:
    told(store, failed("C001", 1), failed("C002", 2), resolved(failed("C002", 2)), progress(seconds=7))
    with store.reading() as connection:
        numbers = read_statistics(connection)
    assert numbers.entries == {("customers", "data", State.OPEN): 1, ("customers", "data", State.RESOLVED): 1}
    assert numbers.oldest_us == {"customers": to_us(failed("C001", 1).first_failed_at)}
    assert numbers.worker_seen_us == {"customers": to_us(at(7))}
    assert numbers.store_bytes > 0


def test_older_progress_does_not_replace_newer(store: Store) -> None:
    told(store, progress(seconds=20))
    told(store, progress(seconds=10))
    with store.reading() as connection:
        assert read_statistics(connection).worker_seen_us == {"customers": to_us(at(20))}


def test_ids_are_frozen_in_order_of_failing(store: Store) -> None:
    told(store, failed("C002", 2), failed("C001", 1))
    with store.reading() as connection:
        ids = read_ids(connection, Filter())
    assert [entry.id for entry in reversed(entries(store))] == ids
    assert START.tzinfo is not None
