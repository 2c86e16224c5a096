"""Replay jobs on PostgreSQL and on SQLite, worked on without Kafka: what is claimed counts as sent."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from sqlalchemy import select

from schemas.events import Decision, ReplayRequest, Resolution
from sink.actions import Actor
from sink.job_actions import JobOrder, JobRefused, cancel_job, pause_job, resume_job, start_job
from sink.job_runner import JobRunner
from sink.jobs import PARKED_AFTER, Counts, JobState
from sink.states import Refusal, State, Verdict
from sink.store import replays
from sink.store.jobs import Job, job_key, read_items, read_job, read_jobs
from sink.store.store import Store
from sink.store.tables import audit, job
from tests.contract.stored import NOW, entries, only, replayed, request, store, told
from tests.sink_events import failed, progress, resolved

__all__ = ["store"]

ANN = Actor("ann", "cli")
SECOND_US = 1_000_000
ORDER = JobOrder(Decision.RETRY, None, None, 0, "all")


@dataclass
class Works:
    """One sink at work on the jobs of a store, at a time of its own."""

    store: Store
    sink: str = "one"
    now_us: int = NOW
    sent: list[ReplayRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runner = JobRunner(self.store, self.send, self.sink, lambda: self.now_us)

    def send(self) -> int:
        """Take a portion of what waits as sent."""
        with self.store.writing() as connection:
            outgoing = replays.claim(connection, self.now_us, 500)
            replays.mark_sent(connection, [each.request.replay_id for each in outgoing], self.now_us)
        self.sent += [each.request for each in outgoing]
        return len(outgoing)

    def run(self, seconds: float = 2.0) -> list[ReplayRequest]:
        """Run once, after so many seconds; returns what is sent."""
        self.now_us += int(seconds * SECOND_US)
        before = len(self.sent)
        self.runner.run()
        return self.sent[before:]

    def answer(self, requests: Sequence[ReplayRequest], *, well: bool = True) -> None:
        """Have the worker answer."""
        events = []
        for each in requests:
            change = failed(each.record_id, each.position.offset)
            again = failed(each.record_id, each.position.offset, 2, replay_id=each.replay_id)
            done = resolved(change, Resolution.REPLAY, replay_id=each.replay_id)
            events.append(done if well else again)
        told(self.store, *events)


def some(store: Store, number: int) -> list[str]:
    """Have so many entries; returns their ids."""
    told(store, *(failed(f"C{n:05}", n) for n in range(number)))
    return [entry.id for entry in sorted(entries(store), key=lambda entry: entry.record_id)]


def started(store: Store, ids: Sequence[str], order: JobOrder = ORDER) -> Job:
    answer = start_job(store, ids, order, ANN)
    assert isinstance(answer, Job), answer
    return answer


def seen(store: Store, of: Job) -> Job:
    with store.reading() as connection:
        found = read_job(connection, of.id)
    assert found is not None
    return found


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
    new = started(store, [f"{n:016x}" for n in range(12_000)])
    sink = Works(store)
    for _ in range(30):
        sink.run()
    over = seen(store, new)
    assert (over.state, over.counts) == (JobState.DONE, Counts(refused=12_000))


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
