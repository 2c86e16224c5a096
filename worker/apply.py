"""Step 5: candidates are written to the target in bulk; each gets its outcome or its fault.

Self-healing interruptions are tried again a few times with full jitter; what the app itself refuses ends the attempt.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.catalogue import Retry, catalogue
from schemas.events import Outcome
from worker.connectors.protocol import Connector, Interrupted, Refused, Write, Written
from worker.fault import Fault
from worker.plan import MappingPlan
from worker.translate import Candidate

FIRST_DELAY_S = 0.05
MAX_DELAY_S = 2.0

Wait = Callable[[float], None]
Jitter = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of the candidates: counts of those that went through, a fault for each that did not.

    `retries` counts the tries after the first, by code.
    """

    counts: Mapping[Outcome, int]
    faults: Sequence[tuple[Candidate, Fault]]
    splits: int = 0
    retries: Mapping[str, int] = field(default_factory=dict)


def apply(
    mapping: MappingPlan, candidates: Sequence[Candidate], connector: Connector, wait: Wait, jitter: Jitter
) -> Applied | Refused:
    """Write candidates, no two of the same record, and return what became of each.

    `wait` sleeps for some seconds (or less, when the worker is to stop); `jitter` gives a number between 0 and 1.
    """
    counts: dict[Outcome, int] = defaultdict(int)
    faults: list[tuple[Candidate, Fault]] = []
    retries: dict[str, int] = defaultdict(int)
    splits = 0
    for rows, deletes in _writes(candidates):
        write = _write(mapping, rows, deletes)
        written = _write_with_retries(write, connector, wait, jitter, retries)
        if isinstance(written, Refused):
            return written
        counts[Outcome.INSERTED] += written.inserted
        counts[Outcome.MODIFIED] += written.modified
        counts[Outcome.UNCHANGED] += written.unchanged
        counts[Outcome.DELETED] += written.deleted
        splits += written.splits
        faults += [(rows[i], fault) for i, fault in written.row_faults.items()]
        faults += [(deletes[i], fault) for i, fault in written.delete_faults.items()]
    return Applied(counts, faults, splits, retries)


def _writes(candidates: Sequence[Candidate]) -> list[tuple[list[Candidate], list[Candidate]]]:
    """Return bulks of rows with the same columns, and deletes; the deletes go first."""
    by_columns: dict[tuple[str, ...], list[Candidate]] = {}
    deletes: list[Candidate] = []
    for each in candidates:
        if each.delete:
            deletes.append(each)
        else:
            by_columns.setdefault(each.columns, []).append(each)
    if len(by_columns) == 1:
        return [(rows, deletes) for rows in by_columns.values()]
    first: list[tuple[list[Candidate], list[Candidate]]] = [([], deletes)] if deletes else []
    return first + [(rows, []) for rows in by_columns.values()]


def _write(mapping: MappingPlan, rows: Sequence[Candidate], deletes: Sequence[Candidate]) -> Write:
    columns = rows[0].columns if rows else mapping.target_key
    return Write(
        entity=mapping.target_entity,
        key=mapping.target_key,
        columns=columns,
        rows=[each.row for each in rows],
        deletes=[each.row for each in deletes],
    )


def _write_with_retries(
    write: Write, connector: Connector, wait: Wait, jitter: Jitter, retries: dict[str, int]
) -> Written | Refused:
    attempt = 0
    while True:
        result = connector.write(write)
        if not isinstance(result, Interrupted):
            return result
        attempt += 1
        if attempt > retry_policy(result.fault.code).in_place:
            break
        retries[result.fault.code] += 1
        wait(jitter() * min(FIRST_DELAY_S * 2**attempt, MAX_DELAY_S))
    isolated = connector.write(write, isolate=True)
    # a connector that can't isolate counts as one that is not able to work at all
    return Refused(isolated.fault) if isinstance(isolated, Interrupted) else isolated


def retry_policy(code: str) -> Retry:
    """Return the retry policy of a code."""
    return catalogue()[code].retry
