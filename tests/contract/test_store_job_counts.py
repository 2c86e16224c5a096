"""How far replay jobs are, counted without looking at all of their entries each time, on PostgreSQL and on SQLite."""

from dataclasses import replace

import pytest
from sqlalchemy import update

from schemas.events import Resolution
from sink.jobs import Counts, JobState
from sink.states import Verdict
from sink.store import replays
from sink.store.entries import read_replays
from sink.store.job_items import read_items
from sink.store.jobs import NOTHING, Job, Settled, read_counts
from sink.store.store import Store
from sink.store.tables import job_item
from sink.store.transitions import Moved
from tests.contract.job_steps import Works, seen, some, started
from tests.contract.stored import NOW, entries, replayed, request, told
from tests.sink_events import failed, resolved


def counted(store: Store, of: Job, known: Settled = NOTHING) -> tuple[Settled, Counts]:
    with store.reading() as connection:
        return read_counts(connection, seen(store, of), known)


def test_entries_that_are_settled_are_counted_once(store: Store) -> None:
    new = started(store, some(store, 12))
    sink = Works(store)
    sent = sink.run()
    sink.answer(sent[:4])
    sink.answer(sent[6:8], well=False)
    before, counts = counted(store, new)
    assert (before, counts) == (Settled(4, Counts(resolved=4)), Counts(sent=6, resolved=4, failed_again=2))
    sink.answer(sent[4:6])
    after, counts = counted(store, new, before)
    assert after == Settled(8, Counts(resolved=6, failed_again=2))
    assert counts == counted(store, new)[1] == Counts(sent=4, resolved=6, failed_again=2)


def test_refused_entries_are_counted_among_the_settled_ones(store: Store) -> None:
    ids = some(store, 6)
    told(store, *(resolved(failed(f"C{n:05}", n), offset=50) for n in range(2)))
    new = started(store, ids)
    sink = Works(store)
    sent = sink.run()
    sink.answer(sent[:1])
    assert counted(store, new) == (
        Settled(3, Counts(resolved=1, refused=2)),
        Counts(sent=3, resolved=1, refused=2),
    )


def test_answer_that_comes_late_counts_when_the_job_ends(store: Store) -> None:
    new = started(store, some(store, 4))
    sink = Works(store)
    sent = sink.run()
    with store.writing() as connection:
        replays.time_out(connection, sink.now_us + 1, sink.now_us + 1, 1)
    settled, _ = counted(store, new)
    sink.runner.courses[new.id].settled = settled
    sink.runner.courses[new.id].recount_at_us = sink.now_us * 2
    sink.answer(sent)
    sink.run()
    over = seen(store, new)
    assert settled.counts == Counts(unconfirmed=1)
    assert (over.state, over.counts) == (JobState.DONE, Counts(resolved=4))


def test_entry_tells_no_replay_before_it_is_asked_for(store: Store) -> None:
    new = started(store, some(store, 3))
    with store.reading() as connection:
        before = read_items(connection, new.id)
    sent = Works(store).run()
    with store.reading() as connection:
        after = read_items(connection, new.id)
    assert [each.replay_id for each in before] == [None] * 3
    assert [each.replay_id for each in after] == [each.replay_id for each in sent]


def test_job_of_an_older_program_whose_list_names_no_replays_goes_on(store: Store) -> None:
    new = started(store, some(store, 3))
    with store.writing() as connection:
        connection.execute(update(job_item).values(replay_id=None))
    sink = Works(store)
    sink.answer(sink.run())
    sink.run()
    with store.reading() as connection:
        items = read_items(connection, new.id)
    assert [each.verdict for each in items] == [Verdict.RESOLVED] * 3
    assert seen(store, new).counts == Counts(resolved=3)


def test_requests_are_claimed_by_the_sink_that_asks_so_that_no_other_sends_them(store: Store) -> None:
    started(store, some(store, 3))
    sink = Works(store)
    sent = sink.run()
    with store.writing() as connection:
        assert replays.claim(connection, sink.now_us, 10) == []
    assert len(sent) == 3


def test_requests_wait_to_be_claimed_while_a_topic_rests(store: Store) -> None:
    started(store, some(store, 3))
    sink = Works(store, claims=False)
    sink.runner.run()
    assert len(sink.sent) == 3


def claimed(store: Store) -> list[str]:
    """Have three requests that were claimed as they were asked for; returns their ids."""
    steps = replayed(store, *some(store, 3), asks=replace(request(), claims=True))
    return [step.replay_id for step in steps if isinstance(step, Moved) and step.replay_id is not None]


def test_large_messages_of_claimed_requests_are_read_in_portions(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = claimed(store)
    monkeypatch.setattr("sink.store.replays.BYTES_AT_ONCE", 1)
    portions = []
    while left:
        with store.writing() as connection:
            outgoing, left = replays.read_claimed(connection, left, NOW)
        portions += [[each.request.record_id for each in outgoing]]
    assert sorted(portions) == [["C00000"], ["C00001"], ["C00002"]]


def test_claimed_request_whose_entry_fails_anew_before_it_is_sent_is_overtaken(store: Store) -> None:
    ids = claimed(store)
    told(store, failed("C00001", 9))
    with store.writing() as connection:
        outgoing, left = replays.read_claimed(connection, ids, NOW)
    with store.reading() as connection:
        verdicts = replays.read_verdicts(connection, ids)
    assert (sorted(each.request.record_id for each in outgoing), left) == (["C00000", "C00002"], [])
    assert [verdict for verdict, _ in verdicts.values()] == [Verdict.SUPERSEDED]


def test_answered_request_counts_as_sent_though_nobody_noted_so(store: Store) -> None:
    first, *_ = claimed(store)
    told(store, resolved(failed("C00000", 0), Resolution.REPLAY, replay_id=first))
    with store.writing() as connection:
        replays.mark_sent(connection, [first], NOW + 99)
    (entry,) = (each for each in entries(store) if each.record_id == "C00000")
    with store.reading() as connection:
        (replay,) = read_replays(connection, entry.id)
    assert replay.sent_us == NOW
