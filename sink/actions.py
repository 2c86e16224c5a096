"""What a person can have done to entries, the same from every surface; each action is written to the audit log."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, exists, func, select

from sink.archive import Archive, open_archive, read_archive, write_archive
from sink.states import CLOSED, Action, State
from sink.store import audit, bulk, replays, transitions
from sink.store.audit import DONE, REFUSED, Deed
from sink.store.entries import PAGE, Filter, matching
from sink.store.portions import BYTES_AT_ONCE, in_portions
from sink.store.retention import delete_entries
from sink.store.store import Store
from sink.store.tables import entry, payload, replay
from sink.store.transitions import Moved, Request, Step

# what can be cleared on demand; a replay that is under way is waited for
CLEARABLE = (State.OPEN, State.WAITING, State.UNCONFIRMED)
_ENTRY_NAMES = tuple(column.name for column in entry.columns)
_CHUNK = 1000
# a request is yet to be sent for the entry, which needs it until then
_UNSENT = exists().where(
    replay.c.entry_id == entry.c.id, replay.c.sent_us.is_(None), replay.c.verdict.is_(None)
)

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and through what."""

    name: str
    via: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """`deleted` entries are in the archive and gone; `changed` ones changed meanwhile and were left alone.

    `unsent` ones were left alone as a request for them, such as to give the change up, was not sent to the worker yet.
    """

    archive: Archive | None
    deleted: int
    changed: int
    unsent: int = 0


@dataclass(frozen=True, slots=True)
class Restored:
    """`restored` entries are back; `existing` ones stood in the list already and were left alone."""

    restored: int
    existing: int


def now_us() -> int:
    """Return the time in microseconds since 1970."""
    return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done, and why. `named`: the entries were named one by one, so that parked ones are meant too.

    `row_version`: only if the entry still has this one.
    """

    action: Action
    reason: str | None = None
    named: bool = True
    row_version: int | None = None


def act(store: Store, ids: Sequence[str], wish: Wish, actor: Actor, on_progress: Progress) -> list[Step]:
    """Replay, resolve or discard entries; what is to be replayed is sent by the running sink."""
    if wish.action is Action.REPLAY:
        return _in_chunks(store, ids, actor, wish, transitions.request_replays, on_progress)

    def close(connection: Connection, chunk: Sequence[str], request: Request) -> list[Step]:
        return transitions.close_by_hand(connection, chunk, wish.action, request)

    return _in_chunks(store, ids, actor, wish, close, on_progress)


def request_replays(store: Store, ids: Sequence[str], actor: Actor, on_progress: Progress) -> list[Step]:
    """Ask for entries to be replayed; the running sink sends them."""
    return act(store, ids, Wish(Action.REPLAY), actor, on_progress)


def close_by_hand(
    store: Store, ids: Sequence[str], action: Action, actor: Actor, reason: str | None, on_progress: Progress
) -> list[Step]:
    """Resolve or discard entries."""
    return act(store, ids, Wish(action, reason), actor, on_progress)


def clearable(wanted: Filter, *, include_open: bool) -> Filter:
    """Return the filter restricted to what may be cleared: closed entries, with `include_open` those still relevant too."""
    allowed = (*sorted(CLOSED), *(CLEARABLE if include_open else ()))
    states = tuple(state for state in allowed if not wanted.states or state in wanted.states)
    return replace(wanted, states=states)


def clear(store: Store, wanted: Filter, path: Path, actor: Actor) -> Cleared:
    """Archive entries to a new file, check it, then delete exactly what it holds; raises ArchiveError before any deletion."""
    if not wanted.states:
        return Cleared(None, 0, 0)
    with store.reading() as connection:
        archive = write_archive(path, _rows(connection, wanted))
        unsent = _count_unsent(connection, wanted)
    if archive.entries == 0:
        path.unlink()
        return Cleared(None, 0, 0, unsent)
    deleted = 0
    # counted with each portion, so that the log is right wherever this breaks off
    with store.writing() as connection:
        noted_id = audit.record(
            connection, Deed(actor.name, actor.via, "clear", path.name, 0, DONE), now_us()
        )
    versions = ((row["id"], row["row_version"]) for row in read_archive(archive))
    for chunk in in_portions(versions, lambda _: 0, _CHUNK, 1):
        with store.writing() as connection:
            gone = _delete(connection, chunk)
            audit.add(connection, noted_id, gone)
        deleted += gone
    return Cleared(archive, deleted, archive.entries - deleted, unsent)


def restore(store: Store, path: Path, actor: Actor) -> Restored:
    """Bring the entries of an archive back, all or none; raises ArchiveError when the file is not whole."""
    archive = open_archive(path)
    restored = 0
    with store.writing() as connection:
        for chunk in in_portions(read_archive(archive), _size, _CHUNK, BYTES_AT_ONCE):
            restored += _insert(connection, chunk)
        deed = Deed(actor.name, actor.via, "restore", path.name, restored, DONE)
        audit.record(connection, deed, now_us())
    return Restored(restored, archive.entries - restored)


def _in_chunks(
    store: Store,
    ids: Sequence[str],
    actor: Actor,
    wish: Wish,
    move: Callable[[Connection, Sequence[str], Request], list[Step]],
    on_progress: Progress,
) -> list[Step]:
    steps: list[Step] = []
    for chunk in transitions.chunks(ids):
        request = Request(
            actor.name,
            now_us(),
            replays.new_replay_id,
            reason=wish.reason,
            named=wish.named,
            row_version=wish.row_version,
        )
        with store.writing() as connection:
            moved = move(connection, chunk, request)
            _audit_steps(connection, moved, actor, wish.action, request.now_us)
        steps += moved
        on_progress(len(chunk))
    return steps


def _rows(connection: Connection, wanted: Filter) -> Iterator[dict[str, Any]]:
    """Yield whole entries with their messages by id, page by page; without those that a request is yet to be sent for."""
    columns = [
        *entry.columns,
        payload.c.id.label("original_id"),
        payload.c.key.label("original_key"),
        payload.c.value.label("original_value"),
        payload.c.headers.label("original_headers"),
    ]
    joined = entry.outerjoin(payload, payload.c.id == entry.c.payload_id)
    query = matching(connection, select(*columns).select_from(joined), wanted).where(~_UNSENT)
    sizes = query.with_only_columns(entry.c.id, func.length(payload.c.value).label("bytes"))
    last = ""
    while page := connection.execute(sizes.where(entry.c.id > last).order_by(entry.c.id).limit(PAGE)).all():
        last = page[-1].id
        for portion in in_portions(page, lambda row: row.bytes, PAGE, BYTES_AT_ONCE):
            among = bulk.among(connection, entry.c.id, [row.id for row in portion])
            for row in connection.execute(query.where(among).order_by(entry.c.id)).mappings():
                yield _archived(dict(row))


def _count_unsent(connection: Connection, wanted: Filter) -> int:
    query = matching(connection, select(func.count()).select_from(entry), wanted)
    return int(connection.scalar(query.where(_UNSENT)) or 0)


def _archived(row: dict[str, Any]) -> dict[str, Any]:
    values = {name: row[name] for name in _ENTRY_NAMES}
    original = None
    if row["original_id"] is not None:
        original = {part: row[f"original_{part}"] for part in ("id", "key", "value", "headers")}
    return {**values, "original": original}


def _delete(connection: Connection, versions: Sequence[tuple[str, int]]) -> int:
    ids = [entry_id for entry_id, _ in versions]
    query = select(entry.c.id, entry.c.row_version).where(bulk.among(connection, entry.c.id, ids))
    locked = connection.execute(query.order_by(entry.c.id).with_for_update())
    present = {row.id: row.row_version for row in locked}
    same = [entry_id for entry_id, version in versions if present.get(entry_id) == version]
    return delete_entries(connection, same, now_us())


def _size(row: dict[str, Any]) -> int:
    return len(row["original"]["value"] or b"") if row["original"] else 0


def _insert(connection: Connection, chunk: Sequence[dict[str, Any]]) -> int:
    ids = [row["id"] for row in chunk]
    present = set(connection.scalars(select(entry.c.id).where(bulk.among(connection, entry.c.id, ids))))
    rows = [row for row in chunk if row["id"] not in present]
    at_us = now_us()
    messages = {
        m["id"]: (m["id"], m["key"], m["value"], m["headers"], at_us)
        for row in rows
        if (m := row["original"])
    }
    bulk.upsert_rows(
        connection, payload, ("id",), list(messages.values()), "UPDATE SET touched_us = excluded.touched_us"
    )
    restored = []
    for row in rows:
        # the retention counts anew, or the next run of it would delete what was just restored
        ages = at_us if row["state"] in CLOSED else None
        payload_id = row["original"]["id"] if row["original"] else None
        changed = {**row, "ages_from_us": ages, "payload_id": payload_id, "replay_id": None}
        # grouped anew: the group may not be here any more
        changed["group_version"] = 0
        restored.append(tuple(changed[name] for name in _ENTRY_NAMES))
    bulk.upsert_rows(connection, entry, ("id",), restored, "NOTHING")
    return len(restored)


def _audit_steps(
    connection: Connection, steps: Sequence[Step], actor: Actor, action: Action, at_us: int
) -> None:
    moved = [step for step in steps if isinstance(step, Moved)]
    for outcome, count in ((DONE, len(moved)), (REFUSED, len(steps) - len(moved))):
        if count:
            what = steps[0].entry_id if len(steps) == 1 else "entries"
            audit.record(connection, Deed(actor.name, actor.via, action, what, count, outcome), at_us)
