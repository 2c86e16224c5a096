"""Ageing out, clearing and restoring, on PostgreSQL and on SQLite."""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, select

from schemas.config.process import RetentionConfig
from schemas.events import OriginalRecord, Resolution
from sink import actions
from sink.actions import Actor, Cleared, Restored, clearable
from sink.archive import FORMAT_VERSION, ArchiveError, open_archive, read_archive, write_archive
from sink.janitor import Janitor
from sink.moment import to_us
from sink.states import Action, State
from sink.store import tables
from sink.store.audit import read_audit
from sink.store.entries import Entry, Filter
from sink.store.migrate import upgrade
from sink.store.store import Store, open_store
from sink.store.transitions import close_by_hand
from tests.contract.stored import NOW, entries, only, replayed, request, told
from tests.sink_events import at, failed, resolved

ANN = Actor("ann", "cli")
DAY_US = 86_400_000_000


def janitor(
    store: Store, now_us: int, *, beat: Callable[[], None] = lambda: None, **retention: timedelta | int
) -> Janitor:
    config = RetentionConfig.model_validate({"batch_rows": 3, **retention})
    return Janitor(store, config, lambda: now_us, threading.Event(), beat)


def closed(store: Store, number: int) -> None:
    """Entries that a later change closed, a minute after START."""
    failures = [failed(f"D{n:03}", n) for n in range(number)]
    told(store, *failures, *(resolved(each, seconds=60) for each in failures))


def rows(store: Store, table: str) -> int:
    with store.reading() as connection:
        return connection.scalar(select(func.count()).select_from(tables.metadata.tables[table])) or 0


def test_closed_entries_age_out_in_batches_with_their_messages_and_replays(store: Store) -> None:
    closed(store, 10)
    removed = janitor(store, to_us(at(61)) + 7 * DAY_US).run()
    assert (removed["entries"], rows(store, "instep_entry"), rows(store, "instep_payload")) == (10, 0, 0)


def test_closed_entries_stay_until_their_time(store: Store) -> None:
    closed(store, 2)
    assert janitor(store, to_us(at(59)) + 7 * DAY_US).run()["entries"] == 0
    assert len(entries(store)) == 2


def test_entries_that_are_not_closed_never_age_out(store: Store) -> None:
    told(store, failed("C001", 1), failed("C002", 2, retry_s=5), failed("C003", 3), failed("C004", 4))
    by_record = {entry.record_id: entry.id for entry in entries(store)}
    replayed(store, by_record["C003"], by_record["C004"])
    with store.writing() as connection:
        unconfirmed = tables.entry.c.id == by_record["C004"]
        connection.execute(tables.entry.update().where(unconfirmed).values(state=State.UNCONFIRMED))
        # even if one of them bore the mark of what is closed
        connection.execute(tables.entry.update().values(ages_from_us=1))
    before = entries(store)
    janitor(store, NOW + 5000 * DAY_US).run()
    assert entries(store) == before
    assert {entry.state for entry in before} == {
        State.OPEN,
        State.WAITING,
        State.REPLAYING,
        State.UNCONFIRMED,
    }
    assert rows(store, "instep_payload") == 4


def test_ageing_out_reads_no_more_than_is_due(sqlite_store: Store) -> None:
    closed(sqlite_store, 1)
    told(sqlite_store, failed("open", 99))
    asked: list[tuple[str, Any]] = []

    @event.listens_for(sqlite_store.engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, given: Any, *_: Any) -> None:
        asked.append((statement, given))

    janitor(sqlite_store, to_us(at(61)) + 7 * DAY_US).run()
    event.remove(sqlite_store.engine, "before_cursor_execute", note)
    with sqlite_store.reading() as connection:
        plans = [
            step.detail
            for statement, given in asked
            if statement.startswith(("SELECT", "DELETE", "UPDATE"))
            for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)
        ]
    assert [plan for plan in plans if "instep_entry_closed" in plan]
    assert [plan for plan in plans if plan.startswith(("SCAN instep_entry", "SCAN instep_payload"))] == []


def test_messages_of_closed_entries_may_go_before_them(store: Store) -> None:
    closed(store, 4)
    removed = janitor(store, to_us(at(61)) + 2 * DAY_US, payload=timedelta(days=1)).run()
    assert (removed["messages"], rows(store, "instep_entry"), rows(store, "instep_payload")) == (4, 4, 0)


def test_message_that_an_open_entry_has_too_stays(store: Store) -> None:
    event = failed("C001", 1)
    told(store, event, resolved(event), failed("C001", 1, mapping="contacts"))
    janitor(store, to_us(at(61)) + 7 * DAY_US).run()
    assert (len(entries(store)), rows(store, "instep_payload")) == (1, 1)


def test_messages_that_no_entry_has_any_more_are_swept_away_in_one_pass(store: Store) -> None:
    originals = [OriginalRecord(b"k", b"%d" % number, ()) for number in range(20)]
    told(store, *(failed(f"C{n % 4}", n, original=original) for n, original in enumerate(originals[:10])))
    told(store, *(failed(f"C{n % 4}", n, original=original) for n, original in enumerate(originals)))
    kept = rows(store, "instep_entry")
    unused = rows(store, "instep_payload") - kept
    passes: list[None] = []
    sweeping = janitor(store, NOW + DAY_US, beat=lambda: passes.append(None))
    assert (unused > 3, sweeping.sweep()["unused_messages"]) == (True, unused)
    assert rows(store, "instep_payload") == kept
    # three messages are looked at in a portion, each of them once
    assert len(passes) == (unused + kept) // 3 + 1


def test_message_that_came_lately_is_not_swept_away(store: Store) -> None:
    told(store, failed(offset=1, original=OriginalRecord(b"k", b"older", ())))
    told(store, failed(offset=2, original=OriginalRecord(b"k", b"newer", ())))
    assert janitor(store, NOW + 1).sweep()["unused_messages"] == 0
    assert rows(store, "instep_payload") == 2


def clear(store: Store, path: Path, *, include_open: bool = False, wanted: Filter | None = None) -> Cleared:
    return actions.clear(store, clearable(wanted or Filter(), include_open=include_open), path, ANN)


def mixed(store: Store) -> None:
    done = failed("C003", 3)
    told(store, failed("C001", 1), failed("C002", 2, retry_s=5), done, resolved(done, Resolution.REPLAY))


def by_record(found: Sequence[Entry]) -> list[str]:
    return sorted(entry.record_id for entry in found)


def test_clear_deletes_what_is_closed_alone(store: Store, tmp_path: Path) -> None:
    mixed(store)
    cleared = clear(store, tmp_path / "a.avro")
    assert (cleared.deleted, by_record(entries(store))) == (1, ["C001", "C002"])


def test_large_messages_are_cleared_and_restored_in_portions(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "BYTES_AT_ONCE", 1)
    mixed(store)
    before = by_record(entries(store))
    assert clear(store, tmp_path / "a.avro", include_open=True).deleted == 3
    actions.restore(store, tmp_path / "a.avro", ANN)
    assert (by_record(entries(store)), rows(store, "instep_payload")) == (before, 3)


def test_clear_with_open_ones_and_restore_is_a_round_trip(store: Store, tmp_path: Path) -> None:
    mixed(store)
    before = entries(store)
    assert clear(store, tmp_path / "a.avro", include_open=True).deleted == 3
    assert (entries(store), rows(store, "instep_payload")) == ([], 0)
    assert actions.restore(store, tmp_path / "a.avro", ANN) == Restored(3, 0)
    assert entries(store) == before


def test_restoring_twice_restores_once(store: Store, tmp_path: Path) -> None:
    mixed(store)
    clear(store, tmp_path / "a.avro", include_open=True)
    actions.restore(store, tmp_path / "a.avro", ANN)
    assert actions.restore(store, tmp_path / "a.avro", ANN) == Restored(0, 3)


def test_entry_that_failed_again_since_is_left_alone_by_restore(store: Store, tmp_path: Path) -> None:
    mixed(store)
    clear(store, tmp_path / "a.avro", include_open=True)
    told(store, failed("C001", 9))
    assert actions.restore(store, tmp_path / "a.avro", ANN) == Restored(2, 1)
    again = next(entry for entry in entries(store) if entry.record_id == "C001")
    assert (again.count, again.position) == (1, failed("C001", 9).position)


def test_restored_entries_are_not_aged_out_at_once(store: Store, tmp_path: Path) -> None:
    closed(store, 2)
    clear(store, tmp_path / "a.avro")
    actions.restore(store, tmp_path / "a.avro", ANN)
    assert janitor(store, actions.now_us()).run()["entries"] == 0


def test_entry_under_way_is_not_cleared(store: Store, tmp_path: Path) -> None:
    told(store, failed())
    replayed(store, only(store).id)
    assert clear(store, tmp_path / "a.avro", include_open=True) == Cleared(None, 0, 0)


def test_entry_that_the_worker_is_yet_to_forget_is_not_cleared(store: Store, tmp_path: Path) -> None:
    told(store, failed())
    with store.writing() as connection:
        close_by_hand(connection, [only(store).id], Action.DISCARD, request())
    assert clear(store, tmp_path / "a.avro").deleted == 0


def test_entry_that_changed_since_it_was_archived_is_not_deleted(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed(store, 2)

    def write_and_fail_again(path: Path, rows_: object) -> object:
        archive = write_archive(path, rows_)  # type: ignore[arg-type]  # handed through
        told(store, failed("D001", 99))
        return archive

    if store.engine.dialect.name == "sqlite":
        store.engine.dispose()
    monkeypatch.setattr(actions, "write_archive", write_and_fail_again)
    assert clear(store, tmp_path / "a.avro").deleted == 1
    assert by_record(entries(store)) == ["D001"]


def test_clear_without_matches_writes_no_file(store: Store, tmp_path: Path) -> None:
    assert clear(store, tmp_path / "a.avro") == Cleared(None, 0, 0)
    assert list(tmp_path.glob("*.avro")) == []


def test_existing_file_is_not_overwritten_and_nothing_is_deleted(store: Store, tmp_path: Path) -> None:
    closed(store, 1)
    (tmp_path / "a.avro").write_text("precious")
    with pytest.raises(ArchiveError, match="exists already"):
        clear(store, tmp_path / "a.avro")
    assert len(entries(store)) == 1


@pytest.mark.parametrize("where", ["header", "middle", "checksum", "mark"])
def test_altered_archive_is_refused_and_restores_nothing(store: Store, tmp_path: Path, where: str) -> None:
    closed(store, 5)
    path = tmp_path / "a.avro"
    clear(store, path)
    data = bytearray(path.read_bytes())
    place = {"header": 100, "middle": len(data) // 2, "checksum": -30, "mark": -3}[where]
    data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match="altered"):
        actions.restore(store, path, ANN)
    assert entries(store) == []


@pytest.mark.parametrize("length", [0, 3, 40, 1000, -1, -17])
def test_truncated_archive_is_refused(store: Store, tmp_path: Path, length: int) -> None:
    closed(store, 5)
    path = tmp_path / "a.avro"
    clear(store, path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ArchiveError):
        actions.restore(store, path, ANN)
    assert entries(store) == []


def test_archive_of_a_newer_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as newer:
        newer.setattr("sink.archive.FORMAT_VERSION", FORMAT_VERSION + 1)
        write_archive(tmp_path / "a.avro", [])
    with pytest.raises(ArchiveError, match="newer Instep"):
        open_archive(tmp_path / "a.avro")


def test_archive_is_for_its_owner_alone(tmp_path: Path) -> None:
    assert (write_archive(tmp_path / "a.avro", []).path.stat().st_mode & 0o777) == 0o600


def test_archive_holds_every_column_of_an_entry(store: Store, tmp_path: Path) -> None:
    closed(store, 1)
    clear(store, tmp_path / "a.avro")
    (row,) = read_archive(open_archive(tmp_path / "a.avro"))
    assert set(row) == {column.name for column in tables.entry.columns} | {"original"}


def test_actions_are_written_to_the_audit_log_without_values(store: Store, tmp_path: Path) -> None:
    mixed(store)
    clear(store, tmp_path / "a.avro")
    actions.restore(store, tmp_path / "a.avro", ANN)
    with store.reading() as connection:
        deeds = connection.execute(select(tables.audit).order_by(tables.audit.c.id)).all()
    assert [(d.actor, d.via, d.action, d[6], d.outcome) for d in deeds] == [
        ("ann", "cli", "clear", 1, "done"),
        ("ann", "cli", "restore", 1, "done"),
    ]


def test_clearing_that_breaks_off_is_in_the_audit_log_with_what_it_deleted(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed(store, 5)
    portions = iter([True, True])
    delete = actions._delete

    def delete_two_portions(connection: Connection, versions: Sequence[tuple[str, int]]) -> int:
        next(portions)
        return delete(connection, versions)

    monkeypatch.setattr(actions, "_CHUNK", 1)
    monkeypatch.setattr(actions, "_delete", delete_two_portions)
    with pytest.raises(StopIteration):
        clear(store, tmp_path / "a.avro")
    with store.reading() as connection:
        (noted,) = [each.deed for each in read_audit(connection, None, 10) if each.deed.action == "clear"]
    assert (noted.actor, noted.what, noted.count) == ("ann", "a.avro", 2)
    assert len(entries(store)) == 3


def test_what_was_purged_leaves_its_space_to_what_comes_next(store: Store) -> None:
    closed(store, 600)
    janitor(store, to_us(at(61)) + 7 * DAY_US, batch_rows=200).run()
    _vacuum(store)
    before = _size_bytes(store)
    closed(store, 600)
    assert _size_bytes(store) <= before


def test_postgresql_vacuums_by_itself_what_a_purge_leaves(pg_database: str) -> None:
    store = open_store(pg_database)
    upgrade(store.engine)
    with store.reading() as connection:
        options = connection.exec_driver_sql(
            "SELECT reloptions FROM pg_class WHERE oid = 'instep_entry'::regclass"
        ).scalar()
    store.close()
    assert "autovacuum_vacuum_scale_factor=0.02" in (options or [])


def _vacuum(store: Store) -> None:
    """Do what PostgreSQL does by itself some time after a purge."""
    if store.engine.dialect.name == "postgresql":
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # no truncation: an empty end would go back to the system, and hide whether the space serves again
            connection.exec_driver_sql("VACUUM (TRUNCATE OFF) instep_entry, instep_payload")


def _size_bytes(store: Store) -> int:
    query = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    if store.engine.dialect.name == "postgresql":
        query = "SELECT pg_relation_size('instep_entry') + pg_relation_size('instep_payload')"
    with store.reading() as connection:
        return int(connection.exec_driver_sql(query).scalar_one())
