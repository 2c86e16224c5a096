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

    @classmethod
    def of(cls, rows: Mapping[str, Row], entries: Sequence[Mapping[str, Any]], *, paused: bool) -> "Seen":
        """Return what was seen; `entries` as `errors list --json` prints them, of every state."""
        listed: dict[str, str] = {}
        closed: dict[str, str] = {}
        for entry in entries:
            if entry["state"] in _CLOSED:
                closed[entry["record_id"]] = entry["resolved_by"] or entry["state"]
            else:
                listed[entry["record_id"]] = f"{entry['code']} {entry['state']}"
        return cls(rows, listed, closed, paused)


def summary(expected: Expected, actual: Seen) -> str:
    """Return in a few words what was seen of all that is expected."""
    right = {
        name
        for name in expected.rows
        if not any(_differences_of(name, expected.rows[name], actual.rows.get(name)))
    }
    listed = ", ".join(f"{record} {what}" for record, what in actual.listed.items())
    closed = [f"{record} {actual.closed[record]}" for record in expected.closed if record in actual.closed]
    parts = [f"{len(right)} of {len(expected.rows)} records right"] if expected.rows else []
    parts += [f"listed: {listed or 'nothing'}", *closed, *(["CRM paused"] if actual.paused else [])]
    return "; ".join(parts)


def differences(expected: Expected, actual: Seen) -> Iterator[str]:
    """Yield everything that is not as it should be, a sentence each."""
    yield from row_differences(expected, actual.rows)
    if expected.paused != actual.paused:
        yield f"the CRM is {'' if actual.paused else 'not '}paused"
    for record in sorted(expected.listed.keys() | actual.listed.keys()):
        wanted, got = expected.listed.get(record, "not listed"), actual.listed.get(record, "not listed")
        if wanted != got:
            yield f"entry of {record}: {got}, expected: {wanted}"
    for record, wanted in expected.closed.items():
        got = actual.closed.get(record, "not over")
        if wanted != got:
            yield f"entry of {record}: {got}, expected: over by {wanted}"


def row_differences(expected: Expected, rows: Mapping[str, Row]) -> Iterator[str]:
    """Yield what is not as it should be in the CRM's records."""
    for number, wanted in expected.rows.items():
        yield from _differences_of(number, wanted, rows.get(number))


def _differences_of(number: str, wanted: Row | None, got: Row | None) -> Iterator[str]:
    if wanted is None:
        if got is not None:
            yield f"{number} is in the CRM, expected: not there"
    elif got is None:
        yield f"{number} is not in the CRM"
    else:
        wrong = [name for name, value in wanted.items() if got.get(name) != value]
        yield from (f"{number}: {name} is {got.get(name)!r}, expected: {wanted[name]!r}" for name in wrong)
