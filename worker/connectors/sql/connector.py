"""The sql connector: one connection to one database, thrown away after whatever breaks it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from threading import RLock
from typing import TypeVar

from worker.connectors.protocol import Connector, Description, Interrupted, Refused, Write, Written
from worker.connectors.sql.bulk import Bulk
from worker.connectors.sql.errors import Reach, TransactionLostError
from worker.connectors.sql.isolate import Fatal, Isolation
from worker.connectors.sql.opening import OpenError, Opening, Settings
from worker.connectors.sql.plan import Plan
from worker.connectors.sql.precheck import check
from worker.connectors.sql.table import Batch, Table
from worker.fault import Fault

_CHECK_AHEAD_WRITES = 20
_LOST_TRANSACTION_TRIES = 3
_PATIENT_LOCK_MS = 250
_PLANS_AT_MOST = 64
_T = TypeVar("_T")


def open_sql(url: str, options: Mapping[str, object]) -> Connector:
    """Return a connector for a SQLAlchemy URL of PostgreSQL, MariaDB, MySQL or SQLite; nothing is opened yet.

    Options, all in seconds: `lock_timeout_s` (5), `statement_timeout_s` (60), `connect_timeout_s` (10). ValueError
    tells of an unknown option or a URL that is none of these, without repeating the URL.
    """
    opening = Opening(url, Settings.read(options))
    return SqlConnector(opening.open, opening.settings)


class RefusedError(Exception):
    """The write cannot be, by what we know of the table before anything is sent."""

    def __init__(self, code: str, **parameters: str) -> None:
        super().__init__(code)
        self.fault = Fault(code, parameters)


class SqlConnector:
    """One database behind the connector protocol. Calls from several threads wait for each other."""

    def __init__(self, open_bulk: Callable[[], Bulk], settings: Settings) -> None:
        self._open_bulk = open_bulk
        self._settings = settings
        self._lock = RLock()
        self._bulk: Bulk | None = None
        self._tables: dict[str, Table] = {}
        self._plans: dict[tuple[str, tuple[str, ...], tuple[str, ...]], Plan] = {}
        self._stages = 0
        self._check_ahead: dict[str, int] = {}

    def describe(self, entity: str) -> Description | Refused:
        """Return what the database says about a table, read afresh."""
        with self._lock:
            found = self._guarded(lambda bulk: self._describe_afresh(bulk, entity))
            if isinstance(found, Interrupted):
                return Refused(found.fault)
            return found if isinstance(found, Refused) else found.description

    def write(self, write: Write, *, isolate: bool = False) -> Written | Interrupted | Refused:
        """Apply one bulk write in one transaction; see the protocol."""
        with self._lock:
            answer = self._guarded(lambda bulk: self._write(bulk, write, isolate=isolate))
        if isolate and isinstance(answer, Interrupted):
            # All that could be told apart is in each other's way: every record gets the fault.
            return Written(
                row_faults=dict.fromkeys(range(len(write.rows)), answer.fault),
                delete_faults=dict.fromkeys(range(len(write.deletes)), answer.fault),
            )
        if isinstance(answer, Refused) and "entity" not in answer.fault.parameters:
            named = {**answer.fault.parameters, "entity": write.entity}
            return Refused(replace(answer.fault, parameters=named))
        return answer

    def check(self, entities: Sequence[str]) -> Sequence[Fault]:
        """Return what is wrong with our access to these tables."""
        with self._lock:
            found = self._guarded(lambda bulk: self._check(bulk, entities))
            return [found.fault] if isinstance(found, Refused | Interrupted) else found

    def abort(self) -> None:
        """Break off what another thread has under way: it fails and is not committed."""
        bulk = self._bulk
        if self._lock.acquire(blocking=False):
            self._lock.release()
        elif bulk is not None:
            bulk.abort()

    def close(self) -> None:
        """Close the connection, whatever is under way on it; a later call opens a new one."""
        self.abort()
        with self._lock:
            self._throw_away()

    def _guarded(self, act: Callable[[Bulk], _T]) -> _T | Interrupted | Refused:
        """Do something with the connection; what the database objects to becomes a value."""
        try:
            bulk = self._bulk = self._bulk or self._open_bulk()
        except OpenError as unopened:
            return Refused(unopened.fault)
        keep = False
        try:
            answer: _T | Interrupted | Refused = act(bulk)
            keep = True
        except RefusedError as refused:
            answer = Refused(refused.fault)
        except TransactionLostError as lost:
            keep = self._rolled_back(bulk)
            answer = Interrupted(lost.diagnosis.fault)
        except bulk.errors as error:
            diagnosis = bulk.diagnose(error)
            keep = diagnosis.reach is Reach.TRY_AGAIN and self._rolled_back(bulk)
            answer = (Interrupted if diagnosis.reach is Reach.TRY_AGAIN else Refused)(diagnosis.fault)
        finally:
            if not keep:
                self._throw_away()
        return answer

    def _rolled_back(self, bulk: Bulk) -> bool:
        try:
            bulk.rollback()
        except bulk.errors:
            return False
        return True

    def _throw_away(self) -> None:
        """Close the connection and forget what was known through it."""
        bulk, self._bulk = self._bulk, None
        self._tables.clear()
        self._plans.clear()
        if bulk is not None:
            bulk.close()

    def _describe_afresh(self, bulk: Bulk, entity: str) -> Table:
        table = bulk.describe(entity)
        bulk.rollback()
        if table is None:
            raise RefusedError("entity_missing", entity=entity)
        known = self._tables.get(entity)
        if known is not None and known != table:
            self._forget(bulk, entity)
        self._tables[entity] = table
        return table

    def _forget(self, bulk: Bulk, entity: str) -> None:
        del self._tables[entity]
        for named in [named for named in self._plans if named[0] == entity]:
            bulk.forget(self._plans.pop(named))

    def _plan(self, bulk: Bulk, write: Write) -> Plan:
        named = (write.entity, write.key, write.columns)
        plan = self._plans.get(named)
        if plan is None:
            table = self._tables.get(write.entity) or self._describe_afresh(bulk, write.entity)
            for column in (*write.columns, *write.key):
                if column not in table.columns:
                    raise RefusedError("field_missing", entity=write.entity, column=column)
            if len(self._plans) >= _PLANS_AT_MOST:
                bulk.forget(self._plans.pop(next(iter(self._plans))))
            self._stages += 1
            plan = Plan.make(table, write.key, write.columns, self._stages)
            bulk.prepare(plan)
            self._plans[named] = plan
        return plan

    def _write(self, bulk: Bulk, write: Write, *, isolate: bool) -> Written:
        plan = self._plan(bulk, write)
        batch, drops, row_faults, delete_faults = _checked(bulk, plan, write)
        written = self._bulk_write(bulk, plan, batch, drops, isolate=isolate)
        if written is None and not self._is_stale(bulk, plan.table):
            written = self._isolating_write(bulk, plan, batch, drops, patient=isolate)
        if written is None:
            self._forget(bulk, write.entity)
            return self._write(bulk, write, isolate=isolate)
        unknown = len(write.deletes) - len(drops) - len(delete_faults)
        return replace(
            written,
            unchanged=written.unchanged + unknown,
            row_faults={**written.row_faults, **row_faults},
            delete_faults={**written.delete_faults, **delete_faults},
        )

    def _is_stale(self, bulk: Bulk, table: Table) -> bool:
        """Whether the table is another one by now; where it is not, the write goes on in the same transaction."""
        changed = bulk.fingerprint(table) != table.fingerprint
        if changed:
            bulk.rollback()
        return changed

    def _bulk_write(
        self, bulk: Bulk, plan: Plan, batch: Batch, drops: Batch, *, isolate: bool
    ) -> Written | None:
        """Write all at once; None if that is not to be tried, a record is in the way or the table is another one."""
        entity = plan.table.description.entity
        if isolate or self._check_ahead.get(entity, 0) > 0:
            return None
        try:
            bulk.begin()
            counts = bulk.upsert(plan, batch, drops)
            # Only now do we hold the table: what it is at this moment, it was for all of the write.
            if self._is_stale(bulk, plan.table):
                return None
            bulk.commit()
        except bulk.errors as error:
            if bulk.diagnose(error).reach is not Reach.RECORD:
                raise
            bulk.rollback()
            return None
        return Written(counts.inserted, counts.modified, counts.unchanged, counts.deleted)

    def _isolating_write(
        self, bulk: Bulk, plan: Plan, batch: Batch, drops: Batch, *, patient: bool
    ) -> Written | None:
        """Write all that can be written; None if the table is another one."""
        tries, fatal = 0, list[Fatal]()
        while True:
            isolation, known = Isolation(bulk, plan, patient, fatal), len(fatal)
            try:
                bulk.begin()
                if patient:
                    bulk.limit(
                        lock_ms=min(_PATIENT_LOCK_MS, self._settings.lock_ms),
                        statement_ms=max(1, self._settings.statement_ms // 6),
                    )
                isolation.write(batch, drops)
                if self._is_stale(bulk, plan.table):
                    return None
                bulk.commit()
            except TransactionLostError:
                bulk.rollback()
                tries += len(fatal) == known
                if len(fatal) == known and (not patient or tries == _LOST_TRANSACTION_TRIES):
                    raise
                continue
            self._watch(plan.table.description.entity, isolation)
            counts = isolation.counts
            return Written(
                counts.inserted, counts.modified, counts.unchanged, counts.deleted,
                isolation.row_faults, isolation.delete_faults, isolation.splits,
            )  # fmt: skip

    def _watch(self, entity: str, isolation: Isolation) -> None:
        """Check ahead in the next writes after a query has found something; otherwise less and less."""
        left = self._check_ahead.get(entity, 0)
        self._check_ahead[entity] = _CHECK_AHEAD_WRITES if isolation.found_by_query else max(0, left - 1)

    def _check(self, bulk: Bulk, entities: Sequence[str]) -> list[Fault]:
        faults, tables = [], []
        for entity in entities:
            table = bulk.describe(entity)
            if table is None:
                faults.append(Fault("entity_missing", {"entity": entity}))
            else:
                tables.append(table)
        faults += bulk.check(tables)
        bulk.rollback()
        return faults


def _checked(bulk: Bulk, plan: Plan, write: Write) -> tuple[Batch, Batch, dict[int, Fault], dict[int, Fault]]:
    """Return the rows and deletes that the description lets pass, and the faults of the others.

    A key that no row of the table can have is no fault of a delete: there is nothing to delete.
    """
    key = frozenset(plan.key)
    columns = plan.table.columns
    rows = [tuple(row[place] for place in plan.picks) for row in write.rows] if plan.narrows else write.rows
    described = [columns[name] for name in plan.columns]
    if plan.table.triggered:
        # A trigger may fill what is null.
        described = [replace(column, nullable=True) for column in described]
    batch, row_faults = check(described, rows, key, bulk.holds)
    drops, absent = check([columns[name] for name in plan.key], write.deletes, key, bulk.holds)
    delete_faults = {
        number: fault for number, fault in absent.items() if fault.code in {"wrong_type", "required_missing"}
    }
    return batch, drops, row_faults, delete_faults
