"""What may be done to entries and what may not, on PostgreSQL and on SQLite."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, select, update

from schemas.events import Resolution
from sink.moment import to_us
from sink.states import Action, Refusal, State, Verdict
from sink.store import tables
from sink.store.entries import read_replays
from sink.store.progress import paused_mappings
from sink.store.replays import (
    CLAIM_HOLDS_US,
    Claim,
    Outgoing,
    Overdue,
    claim,
    due_entries,
    expired_claims,
    mark_sent,
    read_verdicts,
    release,
    release_claims,
    time_out,
)
from sink.store.store import Store
from sink.store.transitions import Moved, Refused, close_by_hand
from tests.contract.stored import NOW, entries, only, replayed, request, told
from tests.integration.sink_running import eventually
from tests.sink_events import at, failed, progress, resolved


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


def test_large_messages_go_out_in_portions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    told(store, failed("C001", 1), failed("C002", 2), failed("C003", 3))
    replayed(store, *(entry.id for entry in entries(store)))
    monkeypatch.setattr("sink.store.replays.BYTES_AT_ONCE", 1)
    portions = []
    for _ in range(4):
        with store.writing() as connection:
            portions.append(len(claim(connection, NOW, 10)))
    assert portions == [1, 1, 1, 0]


def test_request_that_was_not_sent_is_given_back(store: Store) -> None:
    told(store, failed())
    replayed(store, only(store).id)
    with store.writing() as connection:
        (outgoing,) = claim(connection, NOW, 10)
        release(connection, [outgoing.request.replay_id])
    with store.writing() as connection:
        assert len(claim(connection, NOW + 1, 10)) == 1


def test_request_of_a_sink_that_died_is_looked_up_before_another_sends_it(store: Store) -> None:
    told(store, failed())
    replayed(store, only(store).id)
    with store.writing() as connection:
        claim(connection, NOW, 10)
    later = NOW + CLAIM_HOLDS_US + 1
    with store.writing() as connection:
        assert expired_claims(connection, later - 2, 10) == []
        assert claim(connection, later, 10) == []
        (left,) = expired_claims(connection, later, 10)
        assert left == Claim("ann-1", "erp-crm.replay", NOW)
        release_claims(connection, [left])
    with store.writing() as connection:
        assert len(claim(connection, later, 10)) == 1


def test_request_that_was_claimed_anew_is_not_given_back(store: Store) -> None:
    told(store, failed())
    replayed(store, only(store).id)
    with store.writing() as connection:
        claim(connection, NOW + 1, 10)
        release_claims(connection, [Claim("ann-1", "erp-crm.replay", NOW)])
        assert claim(connection, NOW + 2, 10) == []


def test_request_that_was_found_in_its_topic_is_sent(store: Store) -> None:
    told(store, failed())
    replayed(store, only(store).id)
    later = NOW + CLAIM_HOLDS_US + 1
    with store.writing() as connection:
        claim(connection, NOW, 10)
        mark_sent(connection, ["ann-1"], later)
        assert expired_claims(connection, later, 10) == []
        assert claim(connection, later, 10) == []


def test_request_whose_topic_never_tells_is_unconfirmed_in_the_end(store: Store) -> None:
    told(store, failed())
    replayed(store, only(store).id)
    with store.writing() as connection:
        claim(connection, NOW, 10)
        assert time_out(connection, NOW + CLAIM_HOLDS_US, NOW + CLAIM_HOLDS_US, 10) == Overdue(0, 0)
        later = NOW + 3 * CLAIM_HOLDS_US
        assert time_out(connection, later, later, 10) == Overdue(unconfirmed=1, not_sent=0)
    assert only(store).state is State.UNCONFIRMED


def test_request_whose_entry_shows_a_newer_failure_is_not_sent(store: Store) -> None:
    told(store, failed())
    replayed(store, only(store).id)
    told(store, failed(offset=1))
    with store.writing() as connection:
        assert claim(connection, NOW, 10) == []
        assert read_verdicts(connection, ["ann-1"]) == {"ann-1": (Verdict.SUPERSEDED, None)}


def test_who_claims_waits_for_the_entry_before_it_locks_the_replay(postgres_store: Store) -> None:
    told(postgres_store, failed())
    replayed(postgres_store, only(postgres_store).id)
    told(postgres_store, failed(offset=1))

    def claim_once() -> list[Outgoing]:
        with postgres_store.writing() as connection:
            return claim(connection, NOW, 10)

    def someone_waits(connection: Connection) -> bool:
        query = (
            "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        )
        return connection.exec_driver_sql(query).first() is not None

    with ThreadPoolExecutor(1) as other:
        with postgres_store.writing() as first:
            first.execute(select(tables.entry.c.id).with_for_update())
            claiming = other.submit(claim_once)
            with postgres_store.engine.connect() as looking:
                looking.execution_options(isolation_level="AUTOCOMMIT")
                eventually(lambda: someone_waits(looking), every_s=0.01)
            first.execute(update(tables.replay).values(code=None))
        assert claiming.result() == []


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


@pytest.mark.parametrize("claimed", [False, True], ids=["never claimed", "left behind by a sink"])
def test_worker_is_told_to_forget_however_late_kafka_is_back(store: Store, claimed: bool) -> None:
    told(store, failed())
    later = NOW + 1000 * CLAIM_HOLDS_US
    with store.writing() as connection:
        close_by_hand(connection, [only(store).id], Action.DISCARD, request())
        if claimed:
            claim(connection, NOW, 10)
        assert time_out(connection, later, later, 10) == Overdue(0, 0)
        release_claims(connection, expired_claims(connection, later, 10))
        assert [each.request.decision for each in claim(connection, later, 10)] == ["drop"]


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
