"""Replays of dead letters: claimed once and never again, as nobody can tell whether a message was sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select, update

from schemas.config.process import ForeignTopicConfig
from schemas.events import Decision, OriginalRecord
from sink.batch import INSTEP
from sink.states import CLOSED, State, Verdict
from sink.store import bulk
from sink.store.rows import read_headers
from sink.store.tables import entry, payload, replay


@dataclass(frozen=True, slots=True)
class OutgoingLetter:
    """A dead letter to send once more; `letter` is None where its message is not kept any more."""

    replay_id: str
    topic: str
    origin: str
    letter: OriginalRecord | None


@dataclass(frozen=True, slots=True)
class NotSent:
    """A replay that surely was not sent; `code` says why."""

    replay_id: str
    code: str | None


def has_unsent(connection: Connection) -> bool:
    """Whether a dead letter waits to be sent."""
    return connection.execute(_unsent(select(replay.c.id)).limit(1)).first() is not None


def claim(connection: Connection, now_us: int, limit: int) -> list[OutgoingLetter]:
    """Return replays of dead letters that wait to be sent, now claimed for this sink; one whose entry shows another letter by now ends."""
    fresh, outdated = {}, []
    columns = (
        replay.c.id,
        replay.c.failure_id,
        entry.c.failure_id.label("entry_failure_id"),
        entry.c.replay_topic,
        entry.c.origin,
        payload.c.id.label("payload_id"),
        payload.c.key,
        payload.c.value,
        payload.c.headers,
    )
    query = _unsent(select(*columns)).order_by(replay.c.requested_us).limit(limit)
    for row in connection.execute(query).all():
        if row.entry_failure_id == row.failure_id:
            fresh[row.id] = row
        else:
            outdated.append(NotSent(row.id, None))
    mark_not_sent(connection, outdated, now_us)
    if not fresh:
        return []
    free = (
        bulk.among(connection, replay.c.id, list(fresh)),
        replay.c.claimed_us.is_(None),
        replay.c.verdict.is_(None),
    )
    claimed = update(replay).where(*free).values(claimed_us=now_us).returning(replay.c.id)
    mine = set(connection.scalars(claimed))
    return [_outgoing(row) for replay_id, row in fresh.items() if replay_id in mine]


def release(connection: Connection, replay_ids: Sequence[str]) -> None:
    """Give replays back that surely were not sent, to be sent later."""
    if replay_ids:
        mine = bulk.among(connection, replay.c.id, replay_ids)
        connection.execute(update(replay).where(mine, replay.c.verdict.is_(None)).values(claimed_us=None))


def mark_unconfirmed(connection: Connection, replay_ids: Sequence[str], now_us: int, *, sent: bool) -> None:
    """End replays that were sent, or may have been: what became of the messages only a person can say."""
    if not replay_ids:
        return
    _move(connection, replay_ids, {"state": State.UNCONFIRMED})
    mine = bulk.among(connection, replay.c.id, replay_ids)
    if sent:
        connection.execute(update(replay).where(mine).values(sent_us=now_us))
    ended = {"verdict": Verdict.UNCONFIRMED, "verdict_us": now_us}
    # the message may have come back already, which says more
    connection.execute(update(replay).where(mine, replay.c.verdict.is_(None)).values(ended))


def mark_not_sent(connection: Connection, replays: Sequence[NotSent], now_us: int) -> None:
    """End replays that surely were not sent; their entries are open as before."""
    _move(connection, [each.replay_id for each in replays], {"state": State.OPEN, "replay_id": None})
    for code in {each.code for each in replays}:
        ids = [each.replay_id for each in replays if each.code == code]
        mine = (bulk.among(connection, replay.c.id, ids), replay.c.verdict.is_(None))
        ended = {"verdict": Verdict.NOT_SENT, "verdict_us": now_us, "code": code}
        connection.execute(update(replay).where(*mine).values(ended))


def set_destinations(connection: Connection, foreign: Sequence[ForeignTopicConfig]) -> int:
    """Let the replays of entries that are not closed go where the configuration says now; returns how many entries changed."""
    changed = 0
    for topic in foreign:
        wanted = entry.c.source_entity if topic.replay_to is None else topic.replay_to
        elsewhere = (
            entry.c.mapping == topic.mapping,
            entry.c.origin != INSTEP,
            entry.c.state.not_in(sorted(CLOSED)),
            entry.c.replay_topic != wanted,
        )
        values = {"replay_topic": wanted, "row_version": entry.c.row_version + 1}
        changed += connection.execute(update(entry).where(*elsewhere).values(values)).rowcount
    return changed


def _unsent(query: Any) -> Any:
    joined = replay.join(entry, entry.c.id == replay.c.entry_id)
    return (
        query.select_from(joined.outerjoin(payload, payload.c.id == entry.c.payload_id))
        .where(replay.c.verdict.is_(None), replay.c.sent_us.is_(None), replay.c.claimed_us.is_(None))
        .where(replay.c.decision == Decision.RETRY, entry.c.origin != INSTEP)
    )


def _outgoing(row: Row[Any]) -> OutgoingLetter:
    letter = None
    if row.payload_id is not None:
        letter = OriginalRecord(row.key, row.value, read_headers(row.headers))
    return OutgoingLetter(row.id, row.replay_topic, row.origin, letter)


def _move(connection: Connection, replay_ids: Sequence[str], values: dict[str, Any]) -> None:
    if not replay_ids:
        return
    same = (bulk.among(connection, entry.c.replay_id, replay_ids), entry.c.state == State.REPLAYING)
    # entries before replays, in the order of ids, as who writes letters does
    ids = connection.scalars(select(entry.c.id).where(*same).order_by(entry.c.id).with_for_update()).all()
    if ids:
        moved = {**values, "row_version": entry.c.row_version + 1}
        connection.execute(update(entry).where(bulk.among(connection, entry.c.id, ids), *same).values(moved))
