"""Messages in quarantine and what ends their failures, on PostgreSQL and on SQLite."""

from collections.abc import Sequence

import pytest

from sink.reimport import Reimported, reimport
from sink.states import State
from sink.store.positions import start_anew
from sink.store.quarantine import read_quarantine
from sink.store.store import Store
from sink.store.tables import quarantine
from tests.contract.quarantined import in_quarantine, newer, understood
from tests.contract.stored import NOW, TOPIC, entries, ingest, only
from tests.sink_events import CODEC, KafkaRecord, failed, record, resolved


def refused(store: Store, message: KafkaRecord) -> None:
    """Have a message in quarantine be one that this version could read, but the database did not take."""
    with store.writing() as connection:
        mine = quarantine.c.position == message.offset
        connection.execute(quarantine.update().where(mine).values(value=message.value, newer=False))


def states(store: Store) -> list[State]:
    return [entry.state for entry in entries(store)]


def told_in_order(store: Store, messages: Sequence[KafkaRecord]) -> None:
    """Ingest each message in a batch of its own."""
    for message in messages:
        ingest(store, [message], start=message.offset or None)


def test_resolution_waits_for_a_failure_that_a_start_passes_over(store: Store) -> None:
    failure, end = record(failed(), 0), record(resolved(failed()), 1)
    told_in_order(store, [newer(failure), end])
    refused(store, failure)
    assert reimport(store, CODEC, {}, NOW, newer_only=True) == Reimported(0, 1)
    assert reimport(store, CODEC, {}, NOW) == Reimported(2, 0)
    assert (states(store), in_quarantine(store)) == ([State.RESOLVED], [])


@pytest.mark.parametrize("bound", ["_PAGE", "BYTES_AT_ONCE"])
def test_resolution_waits_for_a_failure_that_an_earlier_page_could_not_read(
    store: Store, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(f"sink.reimport.{bound}", 1)
    failure, end = record(failed(), 0), record(resolved(failed()), 1)
    told_in_order(store, [newer(failure), end])
    assert reimport(store, CODEC, {}, NOW, newer_only=True) == Reimported(0, 2)
    understood(store, failure)
    assert reimport(store, CODEC, {}, NOW, newer_only=True) == Reimported(2, 0)
    assert (states(store), in_quarantine(store)) == ([State.RESOLVED], [])


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "in batches of their own"])
def test_entry_that_a_failure_in_quarantine_opens_again_is_closed_by_what_ended_that(
    store: Store, together: bool
) -> None:
    older, later = failed("C001", 5), failed("C001", 7)
    failure = record(later, 1)
    messages = [record(older, 0), newer(failure), record(resolved(later), 2)]
    if together:
        ingest(store, messages)
    else:
        told_in_order(store, messages)
    assert states(store) == [State.RESOLVED]
    understood(store, failure)
    reimport(store, CODEC, {}, NOW, newer_only=True)
    entry = only(store)
    assert (entry.state, entry.position, in_quarantine(store)) == (State.RESOLVED, later.position, [])


def test_resolution_of_a_record_with_nothing_in_quarantine_is_kept_nowhere(store: Store) -> None:
    messages = [newer(record(failed("C001", 1), 0)), record(failed("C002", 2), 1)]
    told_in_order(store, [*messages, record(resolved(failed("C002", 2)), 2)])
    assert in_quarantine(store) == [0]


def test_failure_is_shown_as_soon_as_it_can_be_read_whatever_else_of_its_record_cannot(store: Store) -> None:
    failure = record(failed("C001", 2), 1)
    told_in_order(store, [newer(record(failed("C001", 1), 0)), newer(failure)])
    understood(store, failure)
    assert reimport(store, CODEC, {}, NOW) == Reimported(1, 1)
    assert (states(store), in_quarantine(store)) == ([State.OPEN], [0])


def test_message_of_a_topic_made_anew_is_kept_beside_the_one_that_stood_at_its_offset(store: Store) -> None:
    first, second = (
        KafkaRecord(0, b"k", b"first"),
        KafkaRecord(0, b"k", b"second", timestamp=1_800_000_000_000),
    )
    ingest(store, [first])
    with store.writing() as connection:
        start_anew(connection, [(TOPIC, 0)])
    ingest(store, [second])
    with store.reading() as connection:
        assert [each.value for each in read_quarantine(connection, limit=10)] == [first.value, second.value]


def test_both_messages_at_an_offset_are_read_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sink.reimport._PAGE", 1)
    first = newer(record(failed("C001", 1), 0))
    second = newer(record(failed("C002", 2), 0))
    ingest(store, [first])
    with store.writing() as connection:
        start_anew(connection, [(TOPIC, 0)])
    ingest(store, [second])
    assert reimport(store, CODEC, {}, NOW) == Reimported(0, 2)


def test_message_that_is_read_twice_is_kept_once(store: Store) -> None:
    message = KafkaRecord(0, b"k", b"unreadable")
    for _ in range(2):
        ingest(store, [message])
        with store.writing() as connection:
            start_anew(connection, [(TOPIC, 0)])
    assert in_quarantine(store) == [0]
