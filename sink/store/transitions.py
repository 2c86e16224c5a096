"""What persons and the schedule do to entries: each is locked, looked at, and moved on.

Each function answers for each entry: moved, or refused and why. Nothing is read first and written later without the lock.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from schemas.catalogue import Scope
from schemas.events import Decision
from sink.batch import INSTEP
from sink.jobs import PARKED_AFTER
from sink.states import Action, Refusal, ResolvedBy, State, refusal
from sink.store import bulk
from sink.store.progress import paused_mappings
from sink.store.tables import entry, replay

CHUNK = 2000


@dataclass(frozen=True, slots=True)
class Moved:
    """The entry took the step; `replay_id` of the request that the sink sends for it, if any."""

    entry_id: str
    replay_id: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The entry stays as it is; `state` is None when there is no such entry."""

    entry_id: str
    state: State | None
    reason: Refusal


@dataclass(frozen=True, slots=True)
class Request:
    """Who asks, when, and how the replay of an entry is called; `scheduled` when it is the schedule.

    `claims` where a sink asks that sends the requests itself at once, so that no other does. `named`: a person named the
    entries one by one, so that parked ones are meant too. With `row_version` an entry that has another one by now is refused.
    """

    actor: str
    now_us: int
    id_of: Callable[[str], str]
    scheduled: bool = False
    claims: bool = False
    reason: str | None = None
    named: bool = True
    row_version: int | None = None


Step = Moved | Refused


def request_replays(connection: Connection, ids: Sequence[str], request: Request) -> list[Step]:
    """Put entries into `replaying`, each with a request that the running sink sends; at most CHUNK at a time."""
    paused = paused_mappings(connection, request.now_us)

    def refuse(row: Row[Any]) -> Refusal | None:
        reason = refusal(Action.REPLAY, State(row.state))
        if reason is None and row.scope == Scope.APP:
            return Refusal.APP_FAILURE
        if reason is None and row.source_topic is None:
            return Refusal.NO_POSITION
        if reason is None and row.origin != INSTEP and not row.replay_topic:
            return Refusal.NO_TOPIC
        if reason is None and row.mapping in paused:
            return Refusal.PAUSED
        if reason is None and not request.named and row.failed_replays >= PARKED_AFTER:
            return Refusal.PARKED
        return reason

    def values(replay_id: str) -> dict[str, Any]:
        return {"state": str(State.REPLAYING), "replay_id": replay_id}

    return _move(connection, ids, Action.REPLAY, request, refuse, values)


def close_by_hand(connection: Connection, ids: Sequence[str], action: Action, request: Request) -> list[Step]:
    """Resolve or discard entries, each with a request that makes the worker forget its failure; at most CHUNK at a time."""
    resolved = action is Action.RESOLVE
    closing = {
        "state": str(State.RESOLVED if resolved else State.DISCARDED),
        "resolved_by": str(ResolvedBy.HAND) if resolved else None,
        "closed_us": request.now_us,
        "ages_from_us": request.now_us,
        "closed_by": request.actor,
        "reason": request.reason,
        "replay_id": None,
    }
    return _move(
        connection, ids, action, request, lambda row: refusal(action, State(row.state)), lambda _: closing
    )


def chunks(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    """Return the ids in portions for one transaction each."""
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))


def _move(
    connection: Connection,
    ids: Sequence[str],
    action: Action,
    request: Request,
    refuse: Callable[[Row[Any]], Refusal | None],
    values: Callable[[str], dict[str, Any]],
) -> list[Step]:
    found = {row.id: row for row in _lock(connection, ids)}
    steps: list[Step] = []
    requests, changes = [], []
    for entry_id in dict.fromkeys(ids):
        row = found.get(entry_id)
        reason = Refusal.NOT_FOUND if row is None else _stale(row, request) or refuse(row)
        if row is None or reason is not None:
            state = None if row is None else State(row.state)
            steps.append(Refused(entry_id, state, reason or Refusal.NOT_FOUND))
            continue
        replay_id = request.id_of(entry_id)
        changes.append({"id": row.id, "row_version": row.row_version + 1, **values(replay_id)})
        decision = Decision.RETRY if action is Action.REPLAY else Decision.DROP
        # no worker could forget an app failure, which has no change, or the dead letter of another program
        forgets = row.scope != Scope.APP and row.origin == INSTEP
        sends = row.source_topic is not None and (action is Action.REPLAY or forgets)
        if sends:
            requests.append(_replay_row(row, replay_id, decision, request))
        steps.append(Moved(entry_id, replay_id if sends else None))
    if changes:
        names = list(changes[0])
        bulk.update_rows(connection, entry, names, [list(change.values()) for change in changes])
    bulk.insert_rows(connection, replay, requests)
    return steps


def _stale(row: Row[Any], request: Request) -> Refusal | None:
    same = request.row_version is None or request.row_version == row.row_version
    return None if same else Refusal.CHANGED


def _lock(connection: Connection, ids: Sequence[str]) -> Sequence[Any]:
    """Return entries as they stand; nobody else can change them before the transaction ends."""
    columns = (
        entry.c.id,
        entry.c.state,
        entry.c.row_version,
        entry.c.scope,
        entry.c.mapping,
        entry.c.source_topic,
        entry.c.failure_id,
        entry.c.failed_replays,
        entry.c.origin,
        entry.c.replay_topic,
    )
    query = select(*columns).where(bulk.among(connection, entry.c.id, ids)).order_by(entry.c.id)
    return connection.execute(query.with_for_update()).all()


def _replay_row(row: Row[Any], replay_id: str, decision: Decision, request: Request) -> tuple[Any, ...]:
    claimed_us = request.now_us if request.claims and row.origin == INSTEP else None
    return (
        replay_id,
        row.id,
        row.failure_id,
        str(decision),
        request.scheduled,
        request.actor,
        request.now_us,
        claimed_us,
        None,
        None,
        None,
        None,
    )
