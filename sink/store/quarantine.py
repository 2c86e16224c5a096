"""Messages of the error topic that could not be read, with their bytes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, literal, select, tuple_

from sink.batch import Unread
from sink.store import bulk
from sink.store.portions import in_portions
from sink.store.rows import clean, headers_text, read_headers
from sink.store.tables import quarantine

_PLACE = (quarantine.c.topic, quarantine.c.partition, quarantine.c.position, quarantine.c.timestamp_ms)

# topic, partition, offset and time: a topic that was created anew has other messages at the same offsets
Place = tuple[str, int, int, int]


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A message in quarantine, in the form of a Kafka record."""

    id: int
    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    reason: str
    newer: bool
    quarantined_us: int

    @property
    def place(self) -> Place:
        """Where the message stands."""
        return self.topic, self.partition, self.offset, self.timestamp


def set_aside(connection: Connection, unread: Sequence[Unread], now_us: int) -> None:
    """Put messages into quarantine; one that is there already stays as it is."""
    if not unread:
        return
    rows: list[dict[str, Any]] = [
        {
            "topic": each.message.topic,
            "partition": each.message.partition,
            "position": each.message.offset,
            "timestamp_ms": each.message.timestamp,
            "key": each.message.key,
            "value": each.message.value,
            "headers": headers_text(tuple(each.message.headers)),
            "reason": clean(each.reason),
            "newer": each.newer,
            "quarantined_us": now_us,
        }
        for each in unread
    ]
    insert = bulk.insert_of(connection)(quarantine).on_conflict_do_nothing()
    connection.execute(insert, rows)


def keys_in_quarantine(connection: Connection, keys: Collection[bytes]) -> set[bytes]:
    """Return those of the message keys that have a message in quarantine."""
    # it is nearly always empty
    if not keys or connection.scalar(select(quarantine.c.id).limit(1)) is None:
        return set()
    return _keys(connection, quarantine.c.key.in_(keys))


def keys_left_behind(
    connection: Connection, ids: Collection[int], keys: Collection[bytes], last: Place, *, newer_only: bool
) -> set[bytes]:
    """Return those of the keys that messages in quarantine have, beside those of `ids`: up to `last`, or passed over as not newer."""
    left = tuple_(*_PLACE) <= tuple_(*(literal(part) for part in last))
    if newer_only:
        left |= ~quarantine.c.newer
    return _keys(connection, quarantine.c.key.in_(keys), quarantine.c.id.not_in(ids), left)


def read_quarantine(
    connection: Connection,
    *,
    after: Place | None = None,
    limit: int,
    newer_only: bool = False,
    lock: bool = False,
    most_bytes: int | None = None,
) -> list[Quarantined]:
    """Return messages in quarantine in the order of their topics, those behind `after` first.

    At most `most_bytes` of them, which the last one may go beyond.
    """
    wanted = select(quarantine).order_by(*_PLACE).limit(limit)
    if after is not None:
        wanted = wanted.where(tuple_(*_PLACE) > tuple_(*(literal(part) for part in after)))
    if newer_only:
        wanted = wanted.where(quarantine.c.newer)
    if lock:
        wanted = wanted.with_for_update(skip_locked=True)
    if most_bytes is not None:
        sizes = wanted.with_only_columns(quarantine.c.id, func.length(quarantine.c.value).label("bytes"))
        rows = connection.execute(sizes).all()
        portion = next(in_portions(rows, lambda row: row.bytes, limit, most_bytes), [])
        wanted = wanted.where(quarantine.c.id.in_([row.id for row in portion]))
    return [_quarantined(row) for row in connection.execute(wanted)]


def read_message(connection: Connection, message_id: int) -> Quarantined | None:
    """Return one message in quarantine, None where it is not there any more."""
    row = connection.execute(select(quarantine).where(quarantine.c.id == message_id)).one_or_none()
    return None if row is None else _quarantined(row)


def remove(connection: Connection, ids: Sequence[int]) -> None:
    """Take messages out of quarantine."""
    connection.execute(delete(quarantine).where(quarantine.c.id.in_(ids)))


def _keys(connection: Connection, *where: ColumnElement[bool]) -> set[bytes]:
    found = connection.scalars(select(quarantine.c.key).where(*where).distinct())
    return {bytes(key) for key in found}


def _quarantined(row: Row[Any]) -> Quarantined:
    return Quarantined(
        row.id,
        row.topic,
        row.partition,
        row.position,
        row.timestamp_ms,
        row.key,
        row.value,
        read_headers(row.headers),
        row.reason,
        row.newer,
        row.quarantined_us,
    )
