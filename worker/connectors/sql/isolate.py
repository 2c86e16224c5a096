"""Write all rows that can be written and find the ones that cannot: by queries over the set, then by halving.

All happens in one transaction, each attempt in a savepoint.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from worker.connectors.sql import plan as sql
from worker.connectors.sql.bulk import Bulk
from worker.connectors.sql.errors import Diagnosis, Reach, TransactionLostError
from worker.connectors.sql.plan import Plan
from worker.connectors.sql.table import Batch, Counts, ForeignKey, UniqueIndex
from worker.fault import Fault

_MAY_CLEAR = frozenset({"reference_missing", "duplicate_key", "still_referenced"})


@dataclass(frozen=True, slots=True)
class Fatal:
    """The rows or deletes numbered `low` to `high`: together they end the transaction, savepoints and all."""

    deleting: bool
    low: int
    high: int
    diagnosis: Diagnosis


@dataclass(slots=True)
class Isolation:
    """One isolating write under way: what was counted and found so far.

    `patient` gives a record that is locked or too slow a fault of its own instead of giving up the bulk.
    `fatal` is what earlier tries of the same write have found, and grows when this one fails.
    `found_by_query` says that checking ahead pays: a query over the set found a bad row.
    """

    bulk: Bulk
    plan: Plan
    patient: bool
    fatal: list[Fatal] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    row_faults: dict[int, Fault] = field(default_factory=dict)
    delete_faults: dict[int, Fault] = field(default_factory=dict)
    splits: int = 0
    found_by_query: bool = False

    def write(self, batch: Batch, drops: Batch) -> None:
        """Write the rows and deletes; the driver's error passes where the whole bulk cannot go on."""
        drops = self._staged(drops, self.bulk.stage_drops, self.delete_faults)
        drops = self._unlocked(drops, self.plan.drops, self.delete_faults)
        held = self._referenced(asked=bool(len(drops)))
        free = drops.without(frozenset(held))
        self._in_parts(free, self._delete, self.delete_faults)
        self._write_rows(batch)
        if held:
            still = self._referenced(asked=True)
            self._refuse_drops(held, still)
            freed = drops.only([number for number in held if number not in still])
            self._in_parts(freed, self._delete, self.delete_faults)

    def _write_rows(self, batch: Batch) -> None:
        batch = self._staged(batch, self.bulk.stage, self.row_faults)
        batch = self._unlocked(batch, self.plan.stage, self.row_faults)
        batch = self._possible(batch)
        twins = batch.only(self._twins() if len(batch) else [])
        first = batch.without(frozenset(twins.numbers))
        self._in_parts(first, self._merge, self.row_faults)
        if len(twins):
            # What is written by now counts as the table's.
            self.bulk.unstage(self.plan.stage, first.numbers)
            twins = self._possible(self._staged(twins, self.bulk.stage, self.row_faults))
            self._in_parts(twins, self._merge, self.row_faults, singly=True)

    def _delete(self, low: int, high: int, rows: int) -> Counts:
        deleted = self.bulk.delete(self.plan, low, high)
        return Counts(deleted=deleted, unchanged=rows - deleted)

    def _merge(self, low: int, high: int, rows: int) -> Counts:
        return self.bulk.merge(self.plan, low, high, rows)

    def _staged(self, batch: Batch, stage: Callable[[Plan, Batch], None], faults: dict[int, Fault]) -> Batch:
        parts = [batch] if len(batch) else []
        while parts:
            part = parts.pop()
            diagnosis = self._attempt(partial(stage, self.plan, part))
            if diagnosis is None:
                continue
            if len(part) == 1:
                faults[part.numbers[0]] = self._fault(diagnosis, part, faults)
            else:
                self.splits += 1
                middle = len(part) // 2
                parts += [part.part(middle, len(part)), part.part(0, middle)]
        return batch.without(frozenset(faults))

    def _in_parts(
        self,
        batch: Batch,
        act: Callable[[int, int, int], Counts],
        faults: dict[int, Fault],
        *,
        singly: bool = False,
    ) -> None:
        failed: list[int] = []
        step = 1 if singly else max(1, len(batch))
        parts = [(start, start + step) for start in reversed(range(0, len(batch), step))]
        while parts:
            start, stop = parts.pop()
            diagnosis = self._act(batch, start, stop, act)
            if diagnosis is None:
                continue
            if stop - start == 1:
                faults[batch.numbers[start]] = self._fault(diagnosis, batch.part(start, stop), faults)
                failed.append(start)
            else:
                self.splits += 1
                middle = (start + stop) // 2
                parts += [(middle, stop), (start, middle)]
        self._again(batch, failed, act, faults)

    def _again(
        self,
        batch: Batch,
        failed: list[int],
        act: Callable[[int, int, int], Counts],
        faults: dict[int, Fault],
    ) -> None:
        """Try rows that stood in each other's way once more, from the other end, while that helps."""
        while True:
            waiting = [place for place in failed if self._may_clear(faults[batch.numbers[place]])]
            left = []
            for place in reversed(waiting):
                diagnosis = self._act(batch, place, place + 1, act)
                if diagnosis is None:
                    del faults[batch.numbers[place]]
                else:
                    faults[batch.numbers[place]] = self._fault(
                        diagnosis, batch.part(place, place + 1), faults
                    )
                    left.append(place)
            if len(left) in {0, len(waiting)}:
                return
            failed = left

    def _may_clear(self, fault: Fault) -> bool:
        if fault.code == "duplicate_key":
            return True
        return fault.code in _MAY_CLEAR and self.plan.refers_to_itself

    def _act(
        self, batch: Batch, start: int, stop: int, act: Callable[[int, int, int], Counts]
    ) -> Diagnosis | None:
        done: list[Counts] = []
        low, high, deleting = batch.numbers[start], batch.numbers[stop - 1], act == self._delete
        for fatal in self.fatal:
            if fatal.deleting == deleting and low <= fatal.low and fatal.high <= high:
                return fatal.diagnosis

        def attempt() -> None:
            done.append(act(low, high, stop - start))
            self.bulk.settle()

        try:
            diagnosis = self._attempt(attempt)
        except TransactionLostError as lost:
            if self._is_of_a_record(lost.diagnosis):
                self.fatal.append(Fatal(deleting, low, high, lost.diagnosis))
            raise
        if diagnosis is None:
            self.counts += done[0]
        return diagnosis

    def _attempt(self, act: Callable[[], None]) -> Diagnosis | None:
        """Return why something failed, None if it did not; what reaches further than a record is raised."""
        try:
            with self.bulk.savepoint():
                act()
        except self.bulk.errors as error:
            diagnosis = self.bulk.diagnose(error)
            if diagnosis.reach is Reach.RECORD or (self.patient and diagnosis.reach is Reach.TRY_AGAIN):
                return diagnosis
            raise
        return None

    def _is_of_a_record(self, diagnosis: Diagnosis) -> bool:
        """Whether one record is to blame; for a deadlock none is."""
        return diagnosis.reach is Reach.RECORD or (self.patient and diagnosis.fault.code == "lock_timeout")

    def _query(self, statement: str) -> list[int]:
        """Return the numbers that a query over the set finds; none where we may not ask (no right to read a parent)."""
        return self._ask(statement) or []

    def _ask(self, statement: str) -> list[int] | None:
        found: list[int] | None = None
        try:
            with self.bulk.savepoint():
                found = self.bulk.select_numbers(statement)
        except self.bulk.errors as error:
            code = self.bulk.diagnose(error).fault.code
            if code in {"connection_lost", "unavailable"}:
                raise
        return found

    def _referenced(self, asked: bool) -> dict[int, ForeignKey]:
        found: dict[int, ForeignKey] = {}
        for foreign in self.plan.table.referenced_by if asked else ():
            if foreign.restricts:
                for number in self._query(sql.referenced(self.bulk.flavour, self.plan, foreign)):
                    found[number] = foreign
        return found

    def _refuse_drops(self, held: dict[int, ForeignKey], still: dict[int, ForeignKey]) -> None:
        self.found_by_query = True
        for number in held:
            if number in still:
                self.delete_faults[number] = still_referenced(still[number])

    def _possible(self, batch: Batch) -> Batch:
        """Return the rows that no query finds impossible; the queries know nothing of what a trigger completes."""
        for fault, numbers in self._impossible() if len(batch) and not self.plan.table.triggered else ():
            found = batch.only([number for number in numbers if number not in self.row_faults])
            if not len(found):
                continue
            diagnosis = self._act(found, 0, 1, self._merge)
            if diagnosis is None:
                # It went in: there is a trigger that we may not see.
                self.bulk.unstage(self.plan.stage, found.numbers[:1])
                return batch.without({*self.row_faults, found.numbers[0]})
            if self._bears_out(diagnosis, fault, found):
                self._refuse(self.plan.stage, found.numbers, fault, self.row_faults)
        return batch.without(frozenset(self.row_faults))

    def _bears_out(self, diagnosis: Diagnosis, fault: Fault, found: Batch) -> bool:
        """Whether the database says of the first row what a query found."""
        said = self._fault(diagnosis, found.part(0, 1), self.row_faults)
        same_rule = said.parameters.get("constraint") == fault.parameters.get("constraint")
        return said.code == fault.code and (same_rule or said.code != "rejected_by_app")

    def _impossible(self) -> Iterator[tuple[Fault, list[int]]]:
        flavour, plan = self.bulk.flavour, self.plan
        for foreign in plan.table.foreign_keys:
            if set(foreign.columns) <= set(plan.columns):
                yield reference_missing(foreign), self._query(sql.orphans(flavour, plan, foreign))
        for check in plan.table.checks:
            yield Fault("rejected_by_app", {"constraint": check.name}), self._query(sql.unruly(plan, check))
        for index in plan.other_unique:
            yield duplicate_key(index), self._query(sql.taken(flavour, plan, index))

    def _twins(self) -> list[int]:
        """Put aside the rows whose unique value an earlier one has: they go in if that one does not."""
        found: list[int] = []
        for index in self.plan.other_unique:
            numbers = self._query(sql.twins(self.bulk.flavour, self.plan, index))
            if numbers:
                self.found_by_query = True
                self.bulk.unstage(self.plan.stage, numbers)
                found += numbers
        return found

    def _refuse(self, stage: str, numbers: Sequence[int], fault: Fault, faults: dict[int, Fault]) -> None:
        fresh = [number for number in numbers if number not in faults]
        if fresh:
            self.found_by_query = True
            faults.update(dict.fromkeys(fresh, fault))
            self.bulk.unstage(stage, fresh)

    def _unlocked(self, batch: Batch, stage: str, faults: dict[int, Fault]) -> Batch:
        if not (self.patient and len(batch)):
            return batch
        found, free = sql.locked(self.bulk.flavour, self.plan, stage)
        there = self._query(found)
        unlocked = self._ask(free) if there else None
        if unlocked is not None:
            taken = sorted(set(there).difference(unlocked))
            self._refuse(
                stage, taken, Fault("lock_timeout", {"entity": self.plan.table.description.entity}), faults
            )
        return batch.without(frozenset(faults))

    def _fault(self, diagnosis: Diagnosis, row: Batch, faults: dict[int, Fault]) -> Fault:
        fault = diagnosis.scrubbed(column[0] for column in row.columns)
        return named(self.plan, fault, deleting=faults is self.delete_faults)


def named(plan: Plan, fault: Fault, *, deleting: bool = False) -> Fault:
    """Return the fault with what we know of the constraint that the database named."""
    name = fault.parameters.get("constraint")
    if fault.code == "duplicate_key":
        index = next((index for index in plan.table.unique if index.name == name), None)
        return duplicate_key(index, fault) if index else fault
    if fault.code not in {"reference_missing", "still_referenced"}:
        return fault
    ours = next((foreign for foreign in plan.table.foreign_keys if foreign.name == name), None)
    if ours and not deleting and fault.code == "reference_missing":
        return reference_missing(ours, fault)
    theirs = next((foreign for foreign in plan.table.referenced_by if foreign.name == name), None)
    if theirs:
        return still_referenced(theirs, fault)
    return replace(fault, code="still_referenced") if deleting else fault


def reference_missing(foreign: ForeignKey, seen: Fault | None = None) -> Fault:
    """The fault of a row whose parent is not there."""
    return _fault("reference_missing", seen, constraint=foreign.name, parent=foreign.parent_name,
                  columns=", ".join(foreign.columns))  # fmt: skip


def still_referenced(foreign: ForeignKey, seen: Fault | None = None) -> Fault:
    """The fault of a delete that rows of another table do not allow."""
    return _fault("still_referenced", seen, constraint=foreign.name, child=foreign.child_name,
                  columns=", ".join(foreign.columns))  # fmt: skip


def duplicate_key(index: UniqueIndex, seen: Fault | None = None) -> Fault:
    """The fault of a row whose unique value another row has."""
    return _fault("duplicate_key", seen, constraint=index.name, columns=", ".join(index.columns))


def _fault(code: str, seen: Fault | None, **parameters: str) -> Fault:
    if seen is None:
        return Fault(code, parameters)
    return Fault(code, parameters, seen.detail, seen.exception_type)
