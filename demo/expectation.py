"""What a turn of the story should lead to, what was seen instead, and how the two differ. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]

_CLOSED = frozenset({"resolved", "discarded"})


@dataclass(frozen=True, slots=True)
class Expected:
    """What must be the case in the end.

    `rows` are records of the CRM by number, with the fields that count; None: must not be there. `listed` is all that
    `errors list` shows, no more and no less: record to "code state". `closed` are entries that must be over: record to
    what ended them. `paused` is whether the worker has paused the CRM.
    """

    rows: Mapping[str, Row | None] = field(default_factory=dict)
    listed: Mapping[str, str] = field(default_factory=dict)
    closed: Mapping[str, str] = field(default_factory=dict)
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """What the public faces showed, in the terms of Expected; `rows` has the records that were asked for and exist."""

    rows: Mapping[str, Row]
    listed: Mapping[str, str]
    closed: Mapping[str, str]
    paused: bool

    def __str__(self) -> str:
        listed = ", ".join(f"{record} {what}" for record, what in self.listed.items())
        closed = ", ".join(f"{record} {how}" for record, how in self.closed.items())
        parts = [f"listed: {listed or 'nothing'}"]
        parts += [f"over: {closed}"] if closed else []
        return "; ".join([*parts, *(["CRM paused"] if self.paused else [])])


def seen(rows: Mapping[str, Row], entries: Sequence[Mapping[str, Any]], *, paused: bool) -> Seen:
    """Return what was seen; `entries` as `errors list --json` prints them, of every state."""
    listed: dict[str, str] = {}
    closed: dict[str, str] = {}
    for entry in entries:
        if entry["state"] in _CLOSED:
            closed[entry["record_id"]] = entry["resolved_by"] or entry["state"]
        else:
            listed[entry["record_id"]] = f"{entry['code']} {entry['state']}"
    return Seen(rows, listed, closed, paused)


def differences(expected: Expected, actual: Seen) -> Iterator[str]:
    """Yield everything that is not as it should be, a sentence each."""
    yield from crm_differences(expected, actual.rows, paused=actual.paused)
    for record in sorted(expected.listed.keys() | actual.listed.keys()):
        wanted, got = expected.listed.get(record, "not listed"), actual.listed.get(record, "not listed")
        if wanted != got:
            yield f"entry of {record}: {got}, expected: {wanted}"
    for record, wanted in expected.closed.items():
        got = actual.closed.get(record, "not over")
        if wanted != got:
            yield f"entry of {record}: {got}, expected: over by {wanted}"


def crm_differences(expected: Expected, rows: Mapping[str, Row], *, paused: bool) -> Iterator[str]:
    """Yield what is not as it should be in the CRM itself."""
    for number, row in expected.rows.items():
        yield from _row_differences(number, row, rows.get(number))
    if expected.paused != paused:
        yield f"the CRM is {'' if paused else 'not '}paused"


def _row_differences(number: str, wanted: Row | None, got: Row | None) -> Iterator[str]:
    if wanted is None:
        if got is not None:
            yield f"{number} is in the CRM, expected: not there"
        return
    if got is None:
        yield f"{number} is not in the CRM"
        return
    for name, value in wanted.items():
        if got.get(name) != value:
            yield f"{number}: {name} is {got.get(name)!r}, expected: {value!r}"
