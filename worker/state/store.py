"""What the worker must remember between batches: open failures, and changes parked behind them.

PostgreSQL where several workers share a group; SQLite where one works alone. All writes are short transactions. Between
workers the row of an open failure is guarded by a lock on its record, held while the record is written and reported.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Engine,
    Select,
    String,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    func,
    select,
    union_all,
)
from sqlalchemy.dialects import postgresql, sqlite

from plumbing.database import READ_ONLY, Texts, among, among_found, in_array, in_table
from schemas.events import OriginalRecord, Position, ReplayRequest
from worker.decide import OpenFailure
from worker.message import Message, StoredMessage, stored
from worker.state.locks import RecordLocks
from worker.state.tables import open_failure, parked_change

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# the records of up to so many open failures are read whole, which is faster than asking for each record of a batch
_FEW = 1000
# of an open failure, in its order
_COLUMNS = (
    open_failure.c.record_id,
    open_failure.c.failure_id,
    open_failure.c.code,
    open_failure.c.topic,
    open_failure.c.partition,
    open_failure.c.position,
    open_failure.c.attempt,
    open_failure.c.first_failed_at_us,
    open_failure.c.timestamp_ms,
    open_failure.c.carries,
)
MAX_PARKED_RECORDS = 1024
MAX_PARKED_CHANGES = 1024


def _nothing() -> None:
    """Do nothing: nothing is confirmed."""


@dataclass(frozen=True, slots=True)
class Locked:
    """What is open among some records: their latest failures, and which of them have parked changes.

    Records are `confirmed` whose latest failure is the very one that their replay names: that is not read, and it is forgotten
    with the lock if `forget` is called before. Where one of them is to stay, or be followed by another, `keep` has to be called first.
    """

    failures: Mapping[str, OpenFailure]
    parked: frozenset[str]
    confirmed: AbstractSet[str] = frozenset()
    forget: Callable[[], None] = _nothing
    keep: Callable[[], None] = _nothing


_NOTHING = Locked({}, frozenset())


class StateStore:
    """The open failures and parked changes of one worker group; at most so many records may have so many parked changes."""

    def __init__(
        self,
        engine: Engine,
        group: str,
        *,
        max_parked_records: int = MAX_PARKED_RECORDS,
        max_parked_changes: int = MAX_PARKED_CHANGES,
    ) -> None:
        self._max_parked_records = max_parked_records
        self._max_parked_changes = max_parked_changes
        self._engine = engine
        self._group = group
        self._locks = RecordLocks(engine, group)
        self._insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert
        self._few_open = self._select_few_open()
        self._forgetting = self._delete_named()

    @contextmanager
    def lock(self, mapping: str, records: Iterable[str]) -> Iterator["Locked"]:
        """Yield what is open among these records, each such record locked against every other worker until the block ends.

        A lock that this store holds already is not taken again. `records` is gone through only where the mapping has
        anything open or parked at all.
        """
        record_ids = self._concerned(mapping, records)
        hashes = [_hash(each) for each in record_ids]
        touched = self._touched(mapping, record_ids, hashes) if self._locks.are_needed else record_ids
        with self._locks.hold(mapping, touched):
            # only now: what was open before the lock may have been resolved by whoever held it
            yield self._found(mapping, record_ids, hashes) if touched else _NOTHING

    @contextmanager
    def lock_replayed(self, mapping: str, requests: Iterable[ReplayRequest]) -> Iterator["Locked"]:
        """Yield the same for the records of replays, no two of one record: all of them have failed, as far as one knows."""
        asked = {each.record_id: each for each in requests}
        with self._locks.hold(mapping, asked.keys()) as connection:
            if connection is None:
                yield self._found(mapping, asked.keys(), [_hash(each) for each in asked])
                return
            forgotten = connection.begin_nested()
            named, parked = self._forget_named(connection, mapping, asked)
            confirmed = {record for record, each in asked.items() if _naming(each) in named}
            if len(confirmed) < len(named):
                forgotten.rollback()
                confirmed = set()
            failures = self.open_failures(mapping, asked.keys() - confirmed)
            ends = (connection.commit, forgotten.rollback) if confirmed else ()
            yield Locked(failures, parked & asked.keys(), confirmed, *ends)

    def _concerned(self, mapping: str, records: Iterable[str]) -> set[str]:
        """Return those of the records that may have anything open or parked: of few it is known which, of many it is asked later."""
        with self._reading() as connection:
            text_of = connection.scalar(self._few_open, {"mapping": mapping})
        known: list[str] = orjson.loads(text_of or "[]")
        if len(known) > _FEW:
            return set(records)
        return set(known).intersection(records) if known else set()

    def _select_few_open(self) -> Select[str]:
        """The records of the first failures and parked changes of `mapping`, as one text; made once, as a statement is full of cycles.

        One made with every batch would stay in memory until the interpreter looks for cycles, which it seldom does.
        """
        name = bindparam("mapping", type_=String)
        failed = select(open_failure.c.record_id).where(self._mine(name)).limit(_FEW + 1).subquery()
        parked = select(parked_change.c.record_id).where(self._parked(name)).limit(_FEW + 1).subquery()
        few = union_all(select(failed.c.record_id), select(parked.c.record_id)).subquery()
        # one row, as each that the driver fetches costs a moment in which others take the interpreter
        listed = func.json_agg if self._engine.dialect.name == "postgresql" else func.json_group_array
        return select(cast(listed(few.c.record_id), Text))

    def _touched(self, mapping: str, record_ids: set[str], hashes: Sequence[str]) -> set[str]:
        """Return those of the records that have anything open or parked, and so are to be locked."""
        if not record_ids:
            return set()
        with self._reading() as connection:
            wanted = among(connection, open_failure.c.record_hash, hashes)
            query = select(open_failure.c.record_id).where(self._mine(mapping), wanted)
            failed = connection.execute(query).scalars().all()
        return {*failed, *(self.parked_records(mapping) & record_ids)}

    def _forget_named(
        self, connection: Connection, mapping: str, asked: Mapping[str, ReplayRequest]
    ) -> tuple[set[str], frozenset[str]]:
        """Forget the open failures that requests name; return what requests have to say of them, see `_naming`, and what is parked."""
        ids = [each.failure_id for each in asked.values()]
        given = {"mapping": mapping, "hashes": list(map(_hash, asked)), "ids": ids}
        named, parked = connection.execute(self._forgetting, given).one()
        return set(orjson.loads(named or "[]")), frozenset(orjson.loads(parked or "[]"))

    def _delete_named(self) -> Select[str, str]:
        """The failures with `ids` among the records with `hashes`, deleted, and all records with parked changes, each as one text.

        Made once, see `_select_few_open`.
        """
        hashes, ids = bindparam("hashes", type_=Texts()), bindparam("ids", type_=Texts())
        name = bindparam("mapping", type_=String)
        mine = self._mine(name)
        gone = (
            delete(open_failure)
            .where(
                mine, in_array(open_failure.c.record_hash, hashes), in_table(open_failure.c.failure_id, ids)
            )
            .returning(open_failure.c.failure_id, open_failure.c.position, open_failure.c.record_id)
            .cte("gone")
        )
        naming = gone.c.failure_id + " " + cast(gone.c.position, String) + " " + gone.c.record_id
        parked = select(cast(func.json_agg(parked_change.c.record_id.distinct()), Text))
        return select(cast(func.json_agg(naming), Text), parked.where(self._parked(name)).scalar_subquery())

    def _found(self, mapping: str, record_ids: AbstractSet[str], hashes: Sequence[str]) -> Locked:
        if not record_ids:
            return _NOTHING
        return Locked(self._failures(mapping, hashes), self.parked_records(mapping) & record_ids)

    def open_failures(self, mapping: str, record_ids: Iterable[str]) -> dict[str, OpenFailure]:
        """Return the open failures among these records of a mapping."""
        hashes = [_hash(each) for each in record_ids]
        return self._failures(mapping, hashes) if hashes else {}

    def _failures(self, mapping: str, hashes: Sequence[str]) -> dict[str, OpenFailure]:
        with self._reading() as connection:
            wanted = among(connection, open_failure.c.record_hash, hashes)
            rows = connection.execute(select(*_COLUMNS).where(self._mine(mapping), wanted)).all()
        return {row[0]: _failure(mapping, row) for row in rows}

    def remember(self, failures: Sequence[OpenFailure]) -> None:
        """Make these the latest failures of their records."""
        if not failures:
            return
        statement = self._insert(open_failure)
        names = set(open_failure.columns.keys()) - set(open_failure.primary_key.columns.keys())
        upsert = statement.on_conflict_do_update(
            index_elements=list(open_failure.primary_key.columns),
            set_={name: statement.excluded[name] for name in sorted(names - {"record_id"})},
        )
        with self._engine.begin() as connection:
            connection.execute(upsert, [self._row(each) for each in failures])

    def forget(self, mapping: str, over: Mapping[str, str]) -> None:
        """Forget failures that are resolved, by their records the ids, where they are still their records' latest."""
        if not over:
            return
        with self._engine.begin() as connection:
            # the id of a failure is that of one record's alone, so the two lists need not be looked at in pairs
            records = among(connection, open_failure.c.record_hash, map(_hash, over))
            ids = among_found(connection, open_failure.c.failure_id, over.values())
            connection.execute(delete(open_failure).where(self._mine(mapping), records, ids))

    def park(self, mapping: str, changes: Sequence[tuple[str, Message]]) -> list[Message]:
        """Keep changes that must wait behind a failure of their record, in order; return those for which there is no room."""
        if not changes:
            return []
        refused: list[Message] = []
        with self._engine.begin() as connection:
            counts = self._parked_counts(connection, mapping)
            number = (
                connection.scalar(select(func.max(parked_change.c.number)).where(self._parked(mapping))) or 0
            )
            for record_id, message in changes:
                key = _hash(record_id)
                known = counts.get(key, 0)
                full = known >= self._max_parked_changes or (
                    not known and len(counts) >= self._max_parked_records
                )
                if full and not self._is_parked(connection, mapping, message):
                    refused.append(message)
                    continue
                number += 1
                row = self._parked_row(mapping, record_id, message) | {"number": number}
                if connection.execute(self._insert(parked_change).on_conflict_do_nothing(), row).rowcount:
                    counts[key] = known + 1
        return refused

    def first_parked(self, mapping: str, record_ids: Iterable[str]) -> dict[str, StoredMessage]:
        """Return the oldest parked change of each of these records that has any."""
        first: dict[str, StoredMessage] = {}
        with self._reading() as connection:
            for record_id in record_ids:
                row = connection.execute(
                    select(parked_change)
                    .where(self._parked(mapping), parked_change.c.record_hash == _hash(record_id))
                    .order_by(parked_change.c.number)
                    .limit(1)
                ).first()
                if row is not None:
                    first[record_id] = _parked_message(row)
        return first

    def unpark(self, mapping: str, messages: Iterable[Message]) -> None:
        """Forget parked changes that have had their turn."""
        with self._engine.begin() as connection:
            for each in messages:
                connection.execute(delete(parked_change).where(self._at(mapping, each)))

    def drop_parked(self, mapping: str, record_ids: Sequence[str]) -> None:
        """Forget all parked changes of these records."""
        if not record_ids:
            return
        with self._engine.begin() as connection:
            mine = among(connection, parked_change.c.record_hash, [_hash(each) for each in record_ids])
            connection.execute(delete(parked_change).where(self._parked(mapping), mine))

    def parked_records(self, mapping: str) -> frozenset[str]:
        """Return the records of a mapping that have parked changes."""
        query = select(parked_change.c.record_id).where(self._parked(mapping)).distinct()
        with self._reading() as connection:
            return frozenset(connection.execute(query).scalars())

    def parked_count(self, mapping: str) -> int:
        """Return how many changes of a mapping are parked."""
        with self._reading() as connection:
            return int(
                connection.execute(
                    select(func.count()).select_from(parked_change).where(self._parked(mapping))
                ).scalar_one()
            )

    def _reading(self) -> Connection:
        return self._engine.connect().execution_options(**{READ_ONLY: True})

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _mine(self, mapping: str | BindParameter[str]) -> ColumnElement[bool]:
        return and_(open_failure.c.worker_group == self._group, open_failure.c.mapping == mapping)

    def _parked(self, mapping: str | BindParameter[str]) -> ColumnElement[bool]:
        return and_(parked_change.c.worker_group == self._group, parked_change.c.mapping == mapping)

    def _at(self, mapping: str, message: Message) -> ColumnElement[bool]:
        return and_(
            self._parked(mapping),
            parked_change.c.topic == message.topic,
            parked_change.c.partition == message.partition,
            parked_change.c.position == message.offset,
            parked_change.c.timestamp_ms == message.timestamp,
        )

    def _is_parked(self, connection: Connection, mapping: str, message: Message) -> bool:
        query = select(parked_change.c.position).where(self._at(mapping, message))
        return connection.execute(query).first() is not None

    def _parked_counts(self, connection: Connection, mapping: str) -> dict[str, int]:
        query = (
            select(parked_change.c.record_hash, func.count())
            .where(self._parked(mapping))
            .group_by(parked_change.c.record_hash)
        )
        return {row[0]: row[1] for row in connection.execute(query)}

    def _parked_row(self, mapping: str, record_id: str, message: Message) -> dict[str, object]:
        headers = [[name, None if value is None else value.hex()] for name, value in message.headers]
        return {
            "worker_group": self._group,
            "mapping": mapping,
            "topic": message.topic,
            "partition": message.partition,
            "position": message.offset,
            "record_hash": _hash(record_id),
            "record_id": record_id,
            "timestamp_ms": message.timestamp,
            "key": message.key,
            "value": message.value,
            "headers": orjson.dumps(headers),
        }

    def _row(self, failure: OpenFailure) -> dict[str, object]:
        return {
            "worker_group": self._group,
            "mapping": failure.mapping,
            "record_hash": _hash(failure.record_id),
            "record_id": failure.record_id,
            "failure_id": failure.failure_id,
            "code": failure.code,
            "topic": failure.topic,
            "partition": failure.partition,
            "position": failure.offset,
            "attempt": failure.attempt,
            "first_failed_at_us": (failure.first_failed_at - _EPOCH) // timedelta(microseconds=1),
            "timestamp_ms": failure.timestamp_ms,
            "carries": orjson.dumps(sorted(failure.carries)).decode(),
        }


def _naming(request: ReplayRequest) -> str:
    """Return what a request says of the failure that it is for; of the corrupt one that names another's it is another text."""
    return f"{request.failure_id} {request.position.offset} {request.record_id}"


def _hash(record_id: str) -> str:
    return hashlib.sha256(record_id.encode("utf-8", "surrogatepass")).hexdigest()


def _failure(mapping: str, row: Any) -> OpenFailure:
    *told, first_failed_at_us, timestamp_ms, carries = row
    first_failed_at = _EPOCH + timedelta(microseconds=first_failed_at_us)
    return OpenFailure._make((mapping, *told, first_failed_at, timestamp_ms, _columns(carries)))


@lru_cache(maxsize=256)
def _columns(text: str) -> frozenset[str]:
    # the same few of a mapping stand in most rows
    return frozenset(orjson.loads(text))


def _parked_message(row: Any) -> StoredMessage:
    headers = tuple(
        (name, None if value is None else bytes.fromhex(value)) for name, value in orjson.loads(row.headers)
    )
    position = Position(row.topic, row.partition, row.position, row.timestamp_ms)
    return stored(position, OriginalRecord(row.key, row.value, headers))
