"""Resolutions that travel together, as the store takes them in, on PostgreSQL and on SQLite."""

from collections.abc import Sequence
from dataclasses import replace

from schemas.events import Resolution, SyncFailed, SyncResolved
from sink.reimport import Reimported, reimport
from sink.states import State, Verdict
from sink.store.replays import read_verdicts
from sink.store.store import Store
from tests.contract.quarantined import in_quarantine, newer, understood
from tests.contract.stored import NOW, entries, ingest, replayed, request, told
from tests.sink_events import CODEC, bundle, failed, record, resolved

NUMBER = 12


def failures() -> list[SyncFailed]:
    return [failed(f"C{n:02}", n) for n in range(NUMBER)]


def ends(some: Sequence[SyncFailed]) -> list[SyncResolved]:
    return [resolved(each, Resolution.REPLAY, seconds=900) for each in some]


def states(store: Store) -> dict[str, State]:
    return {entry.record_id: entry.state for entry in entries(store)}


def test_bundle_ends_all_its_failures(store: Store) -> None:
    told(store, *failures())
    written = ingest(store, [bundle(ends(failures()), NUMBER)], start=NUMBER)
    assert set(states(store).values()) == {State.RESOLVED}
    assert written.counts["resolved", "new"] == NUMBER  # type: ignore[union-attr]


def test_bundle_answers_the_replays_of_its_failures(store: Store) -> None:
    told(store, *failures())
    replayed(store, *(entry.id for entry in entries(store)), asks=request())
    ids = {entry.record_id: f"ann-{n}" for n, entry in enumerate(entries(store), 1)}
    answers = [each._replace(replay_id=ids[each.record_id]) for each in ends(failures())]
    ingest(store, [bundle(answers, NUMBER)], start=NUMBER)
    with store.reading() as connection:
        verdicts = read_verdicts(connection, list(ids.values()))
    assert [verdict for verdict, _ in verdicts.values()] == [Verdict.RESOLVED] * NUMBER


def test_failure_behind_a_bundle_opens_its_entry_again(store: Store) -> None:
    told(store, *failures())
    again = failed("C03", 99)
    ingest(store, [bundle(ends(failures()), NUMBER), record(again, NUMBER + 1)], start=NUMBER)
    assert [name for name, state in states(store).items() if state is State.OPEN] == ["C03"]


def test_bundle_that_is_read_again_changes_nothing(store: Store) -> None:
    told(store, *failures())
    ingest(store, [bundle(ends(failures()), NUMBER)], start=NUMBER)
    told(store, failed("C03", 99))
    before = entries(store)
    ingest(store, [bundle(ends(failures()), 50)], start=NUMBER + 2)
    assert entries(store) == before


def test_bundle_of_a_newer_program_waits_in_quarantine_until_it_can_be_read(store: Store) -> None:
    told(store, *failures())
    message = bundle(ends(failures()), NUMBER)
    ingest(store, [newer(message)], start=NUMBER)
    assert (set(states(store).values()), in_quarantine(store)) == ({State.OPEN}, [NUMBER])
    understood(store, message)
    assert reimport(store, CODEC, {}, NOW) == Reimported(1, 0)
    assert (set(states(store).values()), in_quarantine(store)) == ({State.RESOLVED}, [])


def test_bundle_that_is_cut_short_is_set_aside_whole(store: Store) -> None:
    told(store, *failures())
    message = bundle(ends(failures()), NUMBER)
    assert message.value is not None
    ingest(store, [replace(message, value=message.value[:-3])], start=NUMBER)
    assert (set(states(store).values()), in_quarantine(store)) == ({State.OPEN}, [NUMBER])


def test_bundle_that_may_end_a_failure_in_quarantine_waits_there_too_and_ends_the_others_now(
    store: Store,
) -> None:
    first, *others = failures()
    told(store, *others)
    hidden = record(first, 50)
    ingest(store, [newer(hidden)], start=NUMBER - 1)
    ingest(store, [bundle(ends(failures()), 51)], start=51)
    assert (set(states(store).values()), in_quarantine(store)) == ({State.RESOLVED}, [50, 51])
    understood(store, hidden)
    assert reimport(store, CODEC, {}, NOW) == Reimported(2, 0)
    assert states(store) == {each.source.record_id: State.RESOLVED for each in failures()}


def test_bundle_stays_in_quarantine_behind_a_failure_that_stays_there(store: Store) -> None:
    first, *others = failures()
    told(store, *others)
    ingest(store, [newer(record(first, 50))], start=NUMBER - 1)
    ingest(store, [bundle(ends(failures()), 51)], start=51)
    assert reimport(store, CODEC, {}, NOW) == Reimported(0, 2)
    assert in_quarantine(store) == [50, 51]
