"""What the connector knows about one table, and the rows of one bulk as columns. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Any

from worker.connectors.protocol import Column, Description


@dataclass(frozen=True, slots=True)
class UniqueIndex:
    """A unique index over plain columns; partial ones and ones over expressions are not listed.

    Not `immediate`: a deferrable constraint, looked at when the transaction ends.
    """

    name: str
    columns: tuple[str, ...]
    immediate: bool = True


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key seen from the child: `columns` of `child` refer to `parent_columns` of `parent`.

    `child` and `parent` are quoted names ready for SQL, `parent_name` and `child_name` are for people.
    `restricts` says that a parent cannot be deleted while the child refers to it.
    """

    name: str
    child: str
    child_name: str
    columns: tuple[str, ...]
    parent: str
    parent_name: str
    parent_columns: tuple[str, ...]
    restricts: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """A rule of the table about one row: a condition in the database's own words."""

    name: str
    condition: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its public description and what only the connector needs.

    `name` is quoted. `inexact` are columns that compare equal though they differ (or not at all), by the type that
    makes the comparison exact. `always_identity` are columns that the database insists on numbering. `plain` is false for a view, a partitioned
    or a foreign table, and in SQLite for one that can leave rows out. `triggered` says that triggers may complete a
    row before the rules of the table look at it.
    """

    name: str
    description: Description
    unique: tuple[UniqueIndex, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()
    referenced_by: tuple[ForeignKey, ...] = ()
    checks: tuple[Check, ...] = ()
    inexact: Mapping[str, str] = field(default_factory=dict)
    always_identity: frozenset[str] = frozenset()
    fingerprint: str = ""
    plain: bool = True
    triggered: bool = False
    schema: str = ""

    @property
    def columns(self) -> Mapping[str, Column]:
        """The columns by name."""
        return self.description.columns


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as columns: `numbers[i]` is the place of the i-th row in the write that it came from."""

    numbers: Sequence[int]
    columns: Sequence[Sequence[Any]]

    def __len__(self) -> int:
        return len(self.numbers)

    def part(self, start: int, stop: int) -> "Batch":
        """The rows from `start` to before `stop`."""
        return Batch(self.numbers[start:stop], [column[start:stop] for column in self.columns])

    def without(self, numbers: set[int] | frozenset[int]) -> "Batch":
        """The rows whose numbers are not in `numbers`."""
        if not numbers:
            return self
        keep = [number not in numbers for number in self.numbers]
        return Batch(
            list(compress(self.numbers, keep)), [list(compress(column, keep)) for column in self.columns]
        )

    def only(self, numbers: Sequence[int]) -> "Batch":
        """The rows whose numbers are in `numbers`."""
        wanted = set(numbers)
        return self.without(frozenset(number for number in self.numbers if number not in wanted))


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows the database inserted, modified, left as they were and deleted."""

    inserted: int = 0
    modified: int = 0
    unchanged: int = 0
    deleted: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.inserted + other.inserted,
            self.modified + other.modified,
            self.unchanged + other.unchanged,
            self.deleted + other.deleted,
        )
