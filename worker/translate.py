"""Step 3: changes become candidates for the target, by the mapping. Pure.

With `order: latest` only the last change of a record goes on; the filter is asked first, so that what becomes of a
record does not depend on how its changes fell into batches.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from schemas.change import Op, RecordChange, Shape
from schemas.events import ReplayRequest
from worker.fault import Fault
from worker.message import Message
from worker.plan import CONVERSION_ERRORS, MappingPlan, Row, RowPlan, find_fault

MAX_RECORD_ID = 400

KeyFields = Callable[[bytes | None, Sequence[tuple[str, bytes | None]]], Mapping[str, Any] | None]


class Candidate(NamedTuple):
    """One change on its way to the target; `row` is the target's key where `delete`, else the row of `columns`.

    `lacks` are columns that the source left out of the change, though the record has them.

    A named tuple, as one is made for each record: see RecordChange.
    """

    key: Row
    delete: bool
    row: Row
    columns: tuple[str, ...]
    target_key: Row
    message: Message
    replay: ReplayRequest | None = None
    lacks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Broken:
    """A change that never became a candidate; `key` is empty where the record is not known.

    `carries` are the columns that it brings, `lacks` those that the source left out, as far as it could be read.
    """

    key: Row
    message: Message
    fault: Fault
    replay: ReplayRequest | None = None
    carries: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Translated:
    """What became of the changes of one mapping: candidates in order, broken ones, and counts of the rest.

    `alone` where with `order: latest` each is the only one of its record.
    """

    candidates: list[Candidate] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    superseded: int = 0
    skipped: int = 0
    alone: bool = True


def translate(
    mapping: MappingPlan, changes: Sequence[tuple[Message, RecordChange]], key_fields: KeyFields
) -> Translated:
    """Translate the changes of one mapping, in their order."""
    broken: list[Broken] = []
    kept, skipped = _keep(mapping, changes, key_fields, broken)
    superseded, alone = 0, True
    if mapping.order == "latest":
        before = len(kept)
        kept, alone = _latest(mapping, kept)
        superseded = before - len(kept)
    candidates: list[Candidate] = []
    for key, message, change, plan in kept:
        try:
            candidates.append(_candidate(mapping, key, message, change, plan))
        except Exception as error:  # noqa: BLE001  whatever one record does to a conversion is that record's failure
            fault = _explain(mapping, change, plan, error)
            broken.append(Broken(key, message, fault, carries=_carries(change, plan), lacks=plan.lacks))
    return Translated(candidates, broken, superseded, skipped, alone)


def record_id(key: Row) -> str:
    """Return a record's id as text: the key itself, or a JSON array of a composite key's parts.

    A NUL character, which no database can keep in a text, becomes the replacement character; an overlong id is cut and
    ends in a digest of the whole.
    """
    text = str(key[0]) if len(key) == 1 else json.dumps(key, default=str, ensure_ascii=False)
    if len(text) > MAX_RECORD_ID:
        text = f"{text[:MAX_RECORD_ID]}#{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return text.replace("\x00", "\ufffd")


def record_of(change: "Candidate | Broken") -> str:
    """Return the id of the record that a change is about."""
    if change.replay is not None:
        return change.replay.record_id
    return record_id(change.key) if change.key else message_record_id(change.message)


def message_record_id(message: Message) -> str:
    """Return the id of a record whose key is not known: where its message stands."""
    return f"@{message.topic}/{message.partition}/{message.offset}"


_Kept = tuple[Row, Message, RecordChange, RowPlan]


def _keep(
    mapping: MappingPlan,
    changes: Sequence[tuple[Message, RecordChange]],
    key_fields: KeyFields,
    broken: list[Broken],
) -> tuple[list[_Kept], int]:
    """Return the changes that the mapping wants, with their keys, and how many it does not."""
    kept: list[_Kept] = []
    skipped = 0
    plans, where = mapping.row_plans, mapping.where
    for message, change in changes:
        plan = plans.get(change.shape) or mapping.row_plan(change.shape)
        row = change.after
        if row is None:
            skipped += _keep_delete(mapping, message, change, plan, key_fields, kept, broken)
            continue
        try:
            key = plan.key(row)
            hash(key)
        except (KeyError, ValueError, TypeError):
            broken.append(_without_key(mapping, message, row, key_fields))
            continue
        if None in key:
            broken.append(_without_key(mapping, message, row, key_fields))
        elif where is not None and not where(_exact(row, change.shape, where.fields)):
            skipped += 1
        else:
            kept.append((key, message, change, plan))
    return kept, skipped


def _latest(mapping: MappingPlan, kept: list[_Kept]) -> tuple[list[_Kept], bool]:
    """Return the last change of each record, and of those before it the ones that carry what it leaves out.

    Also, whether each is the only one of its record.
    """
    # a copy, as others may add to it meanwhile
    if not any(plan.lacks for plan in list(mapping.row_plans.values())):
        return list({each[0]: each for each in kept}.values()), True
    latest: dict[Row, list[_Kept]] = {}
    for each in kept:
        _, _, change, plan = each
        changes = latest.setdefault(each[0], [])
        while changes and (change.after is None or plan.lacks.isdisjoint(_carries(*changes[-1][2:]))):
            changes.pop()
        changes.append(each)
    left = [each for changes in latest.values() for each in changes]
    return left, len(left) == len(latest)


def _carries(change: RecordChange, plan: RowPlan) -> frozenset[str]:
    """Return the columns that a change writes."""
    return frozenset() if change.after is None else plan.carries


def _keep_delete(
    mapping: MappingPlan,
    message: Message,
    change: RecordChange,
    plan: RowPlan,
    key_fields: KeyFields,
    kept: list[_Kept],
    broken: list[Broken],
) -> int:
    """Add a delete to the kept or broken ones, or return 1 where the mapping wants none."""
    if mapping.on_delete == "ignore" or (message.value is None and not mapping.delete_on_tombstone):
        return 1
    before = change.before
    if before is None or not all(before.get(name) is not None for name in mapping.source_key):
        before = _named_key(mapping, key_fields(message.key, message.headers))
        if before is not None:
            shape = Shape(mapping.source_key)
            change = change._replace(before=before, shape=shape)
            plan = mapping.row_plan(_key_shape(mapping, shape))
    if before is None:
        broken.append(Broken((), message, Fault("key_missing", {"field": ", ".join(mapping.source_key)})))
        return 0
    try:
        key = plan.key(before)
        hash(key)
    except (ValueError, TypeError):
        broken.append(Broken((), message, Fault("key_missing", {"field": ", ".join(mapping.source_key)})))
        return 0
    if mapping.on_delete == "report":
        # it leaves nothing to be written, whatever came before
        broken.append(Broken(key, message, Fault("source_deleted"), carries=frozenset(mapping.target_key)))
    else:
        kept.append((key, message, change._replace(before=before), plan))
    return 0


def poison_change(mapping: MappingPlan, message: Message, fault: Fault, key_fields: KeyFields) -> Broken:
    """Return the failure of a message that can't be decoded, under its record's id if the message's key tells it."""
    named = _named_key(mapping, key_fields(message.key, message.headers))
    return Broken(tuple(named[name] for name in mapping.source_key) if named else (), message, fault)


def _key_shape(mapping: MappingPlan, fresh: Shape) -> Shape:
    """Return the one shape of rows that are only a message's key."""
    return next(
        (known for known in list(mapping.row_plans) if known.names == fresh.names and not known.kinds), fresh
    )


def _without_key(
    mapping: MappingPlan, message: Message, row: Mapping[str, Any], key_fields: KeyFields
) -> Broken:
    """Return the failure of a row without its key field, under the record's id if the message's key tells it."""
    named = _named_key(mapping, key_fields(message.key, message.headers))
    key = tuple(named[name] for name in mapping.source_key) if named else ()
    absent = next((name for name in mapping.source_key if row.get(name) is None), mapping.source_key[0])
    return Broken(key, message, Fault("key_missing", {"field": absent}))


def _named_key(mapping: MappingPlan, fields: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the message's key by the names of the source key; a bare key counts for a single name."""
    if fields is None:
        return None
    if len(mapping.source_key) == 1 and set(fields) == {""}:
        fields = {mapping.source_key[0]: fields[""]}
    named = {name: fields.get(name) for name in mapping.source_key}
    return None if None in named.values() else named


def _candidate(
    mapping: MappingPlan, key: Row, message: Message, change: RecordChange, plan: RowPlan
) -> Candidate:
    if change.op is Op.DELETE or change.after is None:
        target_key = plan.target_key(change.before or {})
        return Candidate(key, True, target_key, mapping.target_key, target_key, message)
    row = plan.row(change.after)
    return Candidate(key, False, row, plan.columns, plan.key_of_row(row), message, None, plan.lacks)


def _explain(mapping: MappingPlan, change: RecordChange, plan: RowPlan, error: Exception) -> Fault:
    row = change.after if change.after is not None else change.before
    if not isinstance(error, CONVERSION_ERRORS):
        return Fault("bug", exception_type=type(error).__name__, top_frame=_top_frame(error))
    found = find_fault(plan.cells, row or {})
    return found or Fault("wrong_type", {"field": ", ".join(mapping.source_key)})


def _top_frame(error: Exception) -> str | None:
    """Return where an error was raised; its text may hold values and is left out."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return (
        f"{last.tb_frame.f_globals['__name__']}.{last.tb_frame.f_code.co_name}" if last is not None else None
    )


def _exact(row: Mapping[str, Any], shape: Shape, names: frozenset[str]) -> dict[str, Any]:
    """Return the exact values of the named fields; one that can't be read is left out, and so is unknown to a filter."""
    exact: dict[str, Any] = {}
    for name in names:
        value = row.get(name)
        reader = shape.readers.get(name)
        try:
            exact[name] = reader(value) if reader and value is not None else value
        except ValueError:
            continue
    return exact
