import pytest

from sink.batch import Batch, EntryEvents, Span, ValueDroppedError, entry_id
from sink.fold import fold, with_decoded
from tests.sink_events import CODEC, KafkaRecord, failed, progress, record, records, resolved

PLACE = ("instep.errors", 0)


def gathered(*messages: KafkaRecord, high_water: int = -1, keep_values: bool = False) -> Batch:
    batch = Batch(CODEC, keep_values=keep_values)
    batch.add(PLACE, messages, 0, high_water)
    return batch


def only_entry(batch: Batch) -> EntryEvents:
    (entry,) = batch.entries()
    return entry


def test_events_of_a_record_come_together_in_order() -> None:
    batch = gathered(*records([failed("C001", 1), failed("C002", 2), resolved(failed("C001", 1))]))
    assert [[heard.failed for heard in entry.heard] for entry in batch.entries()] == [[True, False], [True]]


def test_entry_is_named_by_sixteen_digits_of_its_key() -> None:
    entry = only_entry(gathered(record(failed(), 0)))
    assert entry.entry_id == entry_id(b'["customers","forward","C001"]')
    assert len(entry.entry_id) == 16


def test_of_a_flood_only_the_last_value_is_kept_and_decoded() -> None:
    batch = gathered(*records([failed(offset=n) for n in range(1000)]))
    assert batch.size_bytes < 2000
    assert [heard.event for heard in only_entry(batch).heard][-2:] == [None, failed(offset=999)]


def test_answer_to_a_replay_is_decoded_in_a_flood() -> None:
    answer = failed(attempt=2, replay_id="r1")
    batch = gathered(*records([answer, failed(offset=1), failed(offset=2)]))
    assert only_entry(batch).heard[0].event == answer


def test_failure_told_twice_is_decoded_from_its_first_telling() -> None:
    heard = only_entry(gathered(*records([failed(offset=1), failed(offset=1)]))).heard
    assert fold(None, heard).failure == failed(offset=1)


def test_value_that_is_wanted_after_all_is_asked_for_again() -> None:
    events = [failed(offset=1), failed(offset=2), failed(offset=1)]
    with pytest.raises(ValueDroppedError):
        list(gathered(*records(events)).entries())
    kept = gathered(*records(events), keep_values=True)
    assert fold(None, only_entry(kept).heard).failure == failed(offset=2)


def test_failure_that_the_entry_remembers_hides_a_new_one_only_until_it_is_read_again() -> None:
    before = fold(None, only_entry(gathered(record(failed(offset=1), 0))).heard).standing
    events = records([failed(offset=2), failed(offset=1)])
    batch = gathered(*events)
    with pytest.raises(ValueDroppedError):
        with_decoded(before, only_entry(batch).heard, batch.decode)


def test_event_without_its_header_is_decoded_for_its_id() -> None:
    heard = only_entry(gathered(record(failed(), 0, header=False))).heard
    assert (heard[0].failure_id, heard[0].event) == (failed().failure_id, failed())


def test_what_is_not_above_the_high_water_is_stale() -> None:
    batch = gathered(*records([failed(offset=n) for n in range(5)]), high_water=2)
    assert batch.counts["failed", "stale"] == 3
    assert len(only_entry(batch).heard) == 2


def test_span_reaches_from_where_the_store_stands_to_behind_the_last_message() -> None:
    batch = gathered(record(failed(), 7), record(progress(), 9))
    assert batch.spans == {PLACE: Span(0, 10)}


def test_of_a_worker_only_the_last_progress_is_decoded() -> None:
    batch = gathered(*records([progress(seconds=1), progress(seconds=2), progress("w2")]))
    assert batch.latest_progress() == [progress(seconds=2), progress("w2")]


def test_value_under_another_key_is_set_aside() -> None:
    event = record(failed("C001"), 0)
    batch = gathered(KafkaRecord(0, b'["customers","forward","C002"]', event.value, event.headers))
    assert list(batch.entries()) == []
    assert [unread.newer for unread in batch.unread] == [False]


def test_unreadable_last_failure_leaves_the_one_before_it() -> None:
    whole = record(failed(offset=1), 0)
    cut = record(failed(offset=2), 1)
    assert cut.value is not None
    broken = KafkaRecord(1, cut.key, cut.value[:-5], cut.headers)
    batch = gathered(whole, broken, keep_values=True)
    assert [heard.event for heard in only_entry(batch).heard] == [failed(offset=1)]
    assert [unread.message for unread in batch.unread] == [broken]


def test_unreadable_failure_of_a_flood_is_read_again_with_all_values() -> None:
    cut = record(failed(offset=2), 1)
    assert cut.value is not None
    with pytest.raises(ValueDroppedError):
        list(
            gathered(
                record(failed(offset=1), 0), KafkaRecord(1, cut.key, cut.value[:-5], cut.headers)
            ).entries()
        )
