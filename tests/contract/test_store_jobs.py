"""How replay jobs go, on PostgreSQL and on SQLite."""

from dataclasses import replace
from pathlib import Path

import pytest

from sink.actions import clear
from sink.job_actions import JobRefused, cancel_job, pause_job, resume_job, start_job
from sink.jobs import Counts, JobState
from sink.states import Refusal, State
from sink.store import replays
from sink.store.entries import Filter
from sink.store.job_items import read_items
from sink.store.jobs import Job
from sink.store.store import Store
from tests.contract.job_steps import ANN, ORDER, Works, seen, some, started
from tests.contract.stored import entries, told
from tests.sink_events import failed, progress, resolved


def test_job_asks_for_each_entry_once_in_its_order_and_is_done_when_all_have_verdicts(store: Store) -> None:
    ids = some(store, 30)
    new = started(store, list(reversed(ids)))
    sink = Works(store)
    sent = sink.run()
    assert [each.record_id for each in sent] == [f"C{n:05}" for n in reversed(range(30))]
    assert seen(store, new).state is JobState.RUNNING
    sink.answer(sent)
    sink.run()
    over = seen(store, new)
    assert (over.state, over.counts, over.waiting) == (JobState.DONE, Counts(resolved=30), 0)
    assert over.finished_us == sink.now_us
    assert {entry.state for entry in entries(store)} == {State.RESOLVED}


def test_list_of_a_job_is_frozen_when_it_starts(store: Store) -> None:
    ids = some(store, 3)
    new = started(store, ids)
    told(store, failed("later", 99))
    assert len(Works(store).run()) == 3
    assert seen(store, new).total == 3


def test_entry_that_is_named_twice_is_asked_for_once(store: Store) -> None:
    (entry_id,) = some(store, 1)
    assert started(store, [entry_id, entry_id]).total == 1
    assert len(Works(store).run()) == 1


def test_rate_is_kept(store: Store) -> None:
    started(store, some(store, 100), replace(ORDER, rate_per_s=10))
    sink = Works(store)
    numbers = [len(sink.run(0.2)) for _ in range(26)]
    assert 50 <= sum(numbers) <= 52
    assert max(numbers) <= 10


def test_canaries_go_first_and_the_rest_follows_when_they_did_well(store: Store) -> None:
    new = started(store, some(store, 50), replace(ORDER, canaries=10))
    sink = Works(store)
    first = sink.run()
    assert len(first) == 10
    assert sink.run() == []
    sink.answer(first[:6])
    assert len(sink.run()) == 40
    assert seen(store, new).counts.sent == 44


@pytest.mark.parametrize("well", [True, False], ids=["half of them do well", "none of them has an answer"])
def test_job_stops_itself_when_half_of_its_canaries_fail(store: Store, well: bool) -> None:
    new = started(store, some(store, 50), replace(ORDER, canaries=10))
    sink = Works(store)
    first = sink.run()
    sink.answer(first[:5], well=False)
    if well:
        sink.answer(first[5:])
    assert sink.run() == []
    stopped = seen(store, new)
    assert (stopped.state, stopped.note) == (JobState.STOPPED, "5 of the first 10 entries failed")
    assert [entry.state for entry in entries(store)].count(State.OPEN) == 45


def test_job_that_stopped_itself_goes_on_without_canaries_when_it_is_resumed(store: Store) -> None:
    new = started(store, some(store, 20), replace(ORDER, canaries=2))
    sink = Works(store)
    sink.answer(sink.run(), well=False)
    sink.run()
    assert isinstance(resume_job(store, new.id, ANN), Job)
    assert len(sink.run()) == 18


def test_job_goes_on_and_counts_right_when_entries_that_it_resolved_are_cleared(
    store: Store, tmp_path: Path
) -> None:
    new = started(store, some(store, 50), replace(ORDER, canaries=10, rate_per_s=15))
    sink = Works(store)
    for _ in range(2):
        sink.answer(sink.run())
    cleared = clear(store, Filter(states=(State.RESOLVED,)), tmp_path / "cleared.avro", ANN)
    while sent := sink.run():
        sink.answer(sent)
    over = seen(store, new)
    assert (cleared.deleted > 0, over.state, over.counts) == (True, JobState.DONE, Counts(resolved=50))


def test_answer_to_a_replay_counts_though_its_entry_was_cleared_meanwhile(
    store: Store, tmp_path: Path
) -> None:
    new = started(store, some(store, 1))
    sink = Works(store)
    sent = sink.run()
    told(store, resolved(failed("C00000", 0), offset=50))
    clear(store, Filter(states=(State.RESOLVED,)), tmp_path / "cleared.avro", ANN)
    sink.answer(sent)
    sink.run()
    assert seen(store, new).counts == Counts(resolved=1)


def test_unconfirmed_canaries_stop_a_job(store: Store) -> None:
    new = started(store, some(store, 20), replace(ORDER, canaries=4))
    sink = Works(store)
    sink.run()
    with store.writing() as connection:
        replays.time_out(connection, sink.now_us + 1, sink.now_us + 1, 100)
    sink.run()
    assert seen(store, new).state is JobState.STOPPED


def test_job_without_any_answer_ends_with_unconfirmed_entries(store: Store) -> None:
    new = started(store, some(store, 20))
    sink = Works(store)
    sink.run()
    with store.writing() as connection:
        replays.time_out(connection, sink.now_us + 1, sink.now_us + 1, 100)
    sink.run()
    over = seen(store, new)
    assert (over.state, over.counts) == (JobState.DONE, Counts(unconfirmed=20))


def test_paused_job_asks_for_nothing_until_it_is_resumed(store: Store) -> None:
    new = started(store, some(store, 20))
    sink = Works(store)
    assert isinstance(pause_job(store, new.id, ANN), Job)
    assert sink.run() == []
    assert isinstance(pause_job(store, new.id, ANN), JobRefused)
    assert isinstance(resume_job(store, new.id, ANN), Job)
    assert len(sink.run()) == 20


def test_cancelled_job_asks_for_nothing_more_and_ends_with_the_answers_to_what_was_sent(store: Store) -> None:
    new = started(store, some(store, 20), replace(ORDER, canaries=5))
    sink = Works(store)
    sent = sink.run()
    assert isinstance(cancel_job(store, new.id, ANN), Job)
    sink.run()
    assert seen(store, new).finished_us is None
    sink.answer(sent)
    assert sink.run() == []
    over = seen(store, new)
    assert (over.state, over.waiting, over.counts) == (JobState.CANCELLED, 15, Counts(resolved=5))
    assert over.finished_us is not None
    assert isinstance(resume_job(store, new.id, ANN), JobRefused)


def test_two_sinks_work_on_one_job_without_doubling(store: Store) -> None:
    new = started(store, some(store, 60), replace(ORDER, rate_per_s=5))
    sinks = [Works(store, "one"), Works(store, "two")]
    sent = [each for _ in range(30) for sink in sinks for each in sink.run(0.5)]
    assert len(sent) == len({each.record_id for each in sent}) == 60
    assert seen(store, new).handled == 60


def test_another_sink_goes_on_when_the_first_one_is_gone(store: Store) -> None:
    new = started(store, some(store, 40), replace(ORDER, rate_per_s=20))
    first = Works(store, "one")
    gone = [each for _ in range(3) for each in first.run(0.5)]
    second = Works(store, "two", now_us=first.now_us)
    assert second.run(1) == []
    rest = [each for _ in range(8) for each in second.run(12)]
    assert len({each.record_id for each in gone + rest}) == len(gone) + len(rest) == 40
    assert seen(store, new).handled == 40


def test_two_jobs_over_the_same_entries_replay_each_once(store: Store) -> None:
    ids = some(store, 10)
    first, second = started(store, ids), started(store, ids)
    sink = Works(store)
    assert len(sink.run()) == 10
    sink.run()
    assert seen(store, first).counts == Counts(sent=10)
    over = seen(store, second)
    assert (over.state, over.counts) == (JobState.DONE, Counts(refused=10))
    with store.reading() as connection:
        assert {each.refusal for each in read_items(connection, second.id)} == {Refusal.UNDER_WAY}


def test_change_that_is_resolved_while_its_replay_is_under_way_counts_as_resolved(store: Store) -> None:
    ids = some(store, 2)
    new = started(store, ids)
    sink = Works(store)
    first, second = sink.run()
    told(store, resolved(failed("C00000", 0), offset=50), resolved(failed("C00001", 1), offset=51))
    sink.run()
    assert seen(store, new).counts == Counts(sent=2)
    overtaken = [
        resolved(failed(each.record_id, each.position.offset), replay_id=each.replay_id)
        for each in (first, second)
    ]
    told(store, *overtaken)
    sink.run()
    over = seen(store, new)
    assert (over.state, over.counts) == (JobState.DONE, Counts(resolved=2))


def test_job_is_refused_while_the_app_is_paused(store: Store) -> None:
    ids = some(store, 2)
    # a worker that says so far ahead of any clock is believed
    told(store, progress(paused_code="unavailable", seconds=10_000_000_000))
    answer = start_job(store, ids, ORDER, ANN)
    assert answer == JobRefused(
        "the target app of customers is paused (unavailable); replay when the app is back"
    )


def test_job_over_entries_that_there_are_not_is_refused(store: Store) -> None:
    some(store, 1)
    assert start_job(store, ["0" * 16], ORDER, ANN) == JobRefused("there is no such entry")


def test_job_waits_while_the_app_is_paused_and_says_so(store: Store) -> None:
    new = started(store, some(store, 5))
    told(store, progress(paused_code="unavailable", seconds=9_999))
    sink = Works(store)
    assert sink.run() == []
    waiting = seen(store, new)
    assert (waiting.state, waiting.handled) == (JobState.RUNNING, 0)
    assert waiting.note == "waits: the target app of customers is paused (unavailable)"
    told(store, progress(seconds=10_000))
    assert len(sink.run()) == 5
    assert seen(store, new).note is None
