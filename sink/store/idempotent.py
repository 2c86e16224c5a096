"""Actions that are done once, however often they are asked for under one key."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from sink.store.store import Store
from sink.store.tables import idempotent_action as table

KEPT_US = 24 * 3600 * 1_000_000
# an action that began so long ago and has no answer died with its sink
_DEAD_US = 15 * 60 * 1_000_000


@dataclass(frozen=True, slots=True)
class Began:
    """Nobody has done it yet: do it."""


@dataclass(frozen=True, slots=True)
class Answered:
    """It was done, and this was the answer."""

    status: int
    answer: bytes


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Somebody is at it."""


@dataclass(frozen=True, slots=True)
class OtherRequest:
    """The key was used for something else."""


def begin(
    store: Store, actor: str, key: str, request_hash: str, now_us: int
) -> Began | Answered | UnderWay | OtherRequest:
    """Note that an action begins under a key, or return what became of the one that has it."""
    try:
        with store.writing() as connection:
            _forget_old(connection, now_us)
            row = {"actor": actor, "key": key, "request_hash": request_hash, "at_us": now_us}
            connection.execute(insert(table).values(**row))
    except IntegrityError:
        with store.reading() as connection:
            return _found(connection, actor, key, request_hash)
    return Began()


def finish(store: Store, actor: str, key: str, answered: Answered) -> None:
    """Keep the answer of an action that was done."""
    with store.writing() as connection:
        mine = update(table).where(table.c.actor == actor, table.c.key == key)
        connection.execute(mine.values(status=answered.status, answer=answered.answer))


def give_back(store: Store, actor: str, key: str) -> None:
    """Free the key of an action that was refused or failed: the same request may be sent again."""
    with store.writing() as connection:
        mine = (table.c.actor == actor, table.c.key == key, table.c.status.is_(None))
        connection.execute(delete(table).where(*mine))


def _found(
    connection: Connection, actor: str, key: str, request_hash: str
) -> Answered | UnderWay | OtherRequest:
    row = connection.execute(select(table).where(table.c.actor == actor, table.c.key == key)).one_or_none()
    if row is None:  # given back in this moment
        return UnderWay()
    if row.request_hash != request_hash:
        return OtherRequest()
    return UnderWay() if row.status is None else Answered(row.status, row.answer)


def _forget_old(connection: Connection, now_us: int) -> None:
    connection.execute(delete(table).where(table.c.at_us < now_us - KEPT_US))
    dead = (table.c.status.is_(None), table.c.at_us < now_us - _DEAD_US)
    connection.execute(delete(table).where(*dead))
