"""What replay jobs hold, tell and forget, on PostgreSQL and on SQLite."""

from dataclasses import replace

from sqlalchemy import select

from schemas.events import Decision, Resolution
from sink.job_actions import JobRefused, start_job
from sink.jobs import PARKED_AFTER, Counts, JobState
from sink.states import Refusal, State, Verdict
from sink.store.job_items import read_items
from sink.store.jobs import job_key, purge_jobs, read_jobs
from sink.store.store import Store
from sink.store.tables import audit, job
from tests.contract.job_steps import ANN, ORDER, Works, seen, some, started
from tests.contract.stored import entries, only, replayed, request, told
from tests.sink_events import failed, resolved


def fail_replays(store: Store, entry_id: str, number: int = PARKED_AFTER) -> None:
    """Have a person replay an entry in vain, so many times."""
    for attempt in range(2, 2 + number):
        asks = request(f"ann-{attempt}")
        replayed(store, entry_id, asks=asks)
        told(store, failed(attempt=attempt, replay_id=f"ann-{attempt}-1"))


def test_entry_with_three_failed_replays_is_left_to_a_person_who_names_it(store: Store) -> None:
    told(store, failed())
    entry_id = only(store).id
    fail_replays(store, entry_id)
    assert only(store).failed_replays == 3
    new = started(store, [entry_id])
    sink = Works(store)
    assert sink.run() == []
    with store.reading() as connection:
        (item,) = read_items(connection, new.id)
    assert item.refusal is Refusal.PARKED
    started(store, [entry_id], replace(ORDER, named=True))
    assert len(sink.run()) == 1


def test_failed_replays_that_the_schedule_asked_for_do_not_count(store: Store) -> None:
    told(store, failed(retry_s=0))
    replayed(store, only(store).id, asks=request("schedule", scheduled=True))
    told(store, failed(attempt=2, retry_s=0, replay_id="schedule-1"))
    assert only(store).failed_replays == 0


def test_failed_replays_are_forgotten_when_the_entry_closes_or_a_new_change_fails(store: Store) -> None:
    told(store, failed())
    entry_id = only(store).id
    fail_replays(store, entry_id, 2)
    told(store, failed(offset=5))
    assert only(store).failed_replays == 0
    replayed(store, entry_id, asks=request("bob"))
    told(store, failed(offset=5, attempt=2, replay_id="bob-1"))
    assert only(store).failed_replays == 1
    told(store, resolved(failed(offset=5, attempt=2)))
    assert only(store).failed_replays == 0


def test_corrected_values_go_with_the_request_and_are_forgotten_when_it_is_settled(store: Store) -> None:
    (entry_id,) = some(store, 1)
    new = started(store, [entry_id], replace(ORDER, corrections={"name": '"Contoso"'}, canaries=10))
    sink = Works(store)
    (sent,) = sink.run()
    assert sent.corrections == {"name": '"Contoso"'}
    sink.answer([sent])
    sink.run()
    with store.reading() as connection:
        assert connection.scalar(select(job.c.corrections)) is None
        deeds = connection.execute(select(audit)).all()
    assert seen(store, new).corrected_fields == ("name",)
    assert any("corrected: name" in deed.what for deed in deeds)
    assert not any("Contoso" in str(deed) for deed in deeds)


def test_corrected_values_are_for_a_few_entries(store: Store) -> None:
    answer = start_job(store, some(store, 21), replace(ORDER, corrections={"name": "1"}), ANN)
    assert answer == JobRefused("corrected values are for 20 entries at most, not for 21")


def test_job_over_nothing_is_refused(store: Store) -> None:
    assert start_job(store, [], ORDER, ANN) == JobRefused("no entry is selected")


def test_job_can_give_entries_up(store: Store) -> None:
    new = started(store, some(store, 3), replace(ORDER, decision=Decision.DROP, canaries=10))
    sink = Works(store)
    sent = sink.run()
    assert {each.decision for each in sent} == {Decision.DROP}
    assert {entry.state for entry in entries(store)} == {State.DISCARDED}
    told(
        store,
        *(
            resolved(
                failed(each.record_id, each.position.offset), Resolution.DROPPED, replay_id=each.replay_id
            )
            for each in sent
        ),
    )
    sink.run()
    assert (seen(store, new).state, seen(store, new).counts) == (JobState.DONE, Counts(resolved=3))


def test_jobs_and_their_items_are_read_page_by_page(store: Store) -> None:
    ids = some(store, 5)
    made = [started(store, ids) for _ in range(3)]
    with store.reading() as connection:
        first = read_jobs(connection, limit=2)
        rest = read_jobs(connection, job_key(first[-1]), 2)
        items = read_items(connection, made[0].id, after=2, limit=2)
    assert {each.id for each in first + rest} == {each.id for each in made}
    assert [(each.number, each.entry_id, each.verdict) for each in items] == [
        (3, ids[3], None),
        (4, ids[4], None),
    ]


def test_verdicts_stand_with_the_items_of_a_job(store: Store) -> None:
    new = started(store, some(store, 2))
    sink = Works(store)
    first, second = sink.run()
    sink.answer([first])
    sink.answer([second], well=False)
    with store.reading() as connection:
        items = read_items(connection, new.id)
    assert [(each.verdict, each.code) for each in items] == [
        (Verdict.RESOLVED, None),
        (Verdict.FAILED_AGAIN, "too_long"),
    ]


def test_job_over_many_entries_is_written_whole(store: Store) -> None:
    new = started(store, [*some(store, 1), *(f"{n:016x}" for n in range(11_999))])
    sink = Works(store)
    for _ in range(30):
        if requests := sink.run():
            sink.answer(requests)
    over = seen(store, new)
    assert (over.state, over.counts) == (JobState.DONE, Counts(resolved=1, refused=11_999))


def test_what_a_job_did_stands_in_the_audit_log(store: Store) -> None:
    ids = some(store, 2)
    started(store, ids)
    new = started(store, [*ids, "0" * 16])
    sink = Works(store)
    sink.answer(sink.run())
    sink.run()
    with store.reading() as connection:
        deeds = connection.execute(select(audit).where(audit.c.what.contains(new.id))).all()
    assert sorted((deed.action, deed._mapping["count"], deed.outcome) for deed in deeds) == [
        ("replay", 3, "refused"),
        ("start job", 3, "done"),
    ]


def test_jobs_that_ended_long_ago_are_removed_with_their_lists(store: Store) -> None:
    ids = some(store, 5)
    over, goes_on = started(store, ids[:4]), started(store, ids[4:])
    sink = Works(store)
    sink.answer(sink.run()[:4])
    sink.run()
    removed: list[int] = []
    while not removed or removed[-1]:
        with store.writing() as connection:
            removed.append(purge_jobs(connection, sink.now_us + 1, 3))
    assert removed == [3, 2, 0]
    with store.reading() as connection:
        assert [each.id for each in read_jobs(connection)] == [goes_on.id]
        assert read_items(connection, over.id) == []
        assert len(read_items(connection, goes_on.id)) == 1
