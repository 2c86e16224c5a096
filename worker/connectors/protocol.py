"""What every connector offers the worker: describe an entity, write to it in bulk, check the access."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from schemas.change import Kind
from worker.fault import Fault


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a target entity; a limit that is None is not known or does not exist.

    `max_length` in characters (bytes for Kind.BYTES). `minimum`/`maximum` bound integers, and bits of an unknown kind. `element` is the
    kind of an array's members. `scale` counts the decimals of a decimal or of a time's seconds. `zoned`: a time of day with a zone.
    `misread` is asked about values that the app may silently take for others: it says in words what is held instead, nothing where all is well.
    """

    name: str
    kind: Kind
    nullable: bool = True
    has_default: bool = False
    generated: bool = False
    max_length: int | None = None
    precision: int | None = None
    scale: int | None = None
    minimum: int | None = None
    maximum: int | None = None
    element: Kind | None = None
    zoned: bool = False
    misread: Callable[[Any], str] | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """What the target says about one entity; `unique` has every unique index by its columns, the primary key first."""

    entity: str
    columns: Mapping[str, Column]
    unique: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Write:
    """One bulk write to one entity.

    `rows` are upserted by `key` (columns that are also in `columns`), `deletes` are key tuples in the order of `key`.
    No key stands twice in rows and deletes together. Values are exact Python values of schemas.change.
    Deletes are done before upserts.
    """

    entity: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]
    deletes: Sequence[tuple[Any, ...]] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """The write is committed, but for the faulty ones.

    `row_faults` by index in `rows`, `delete_faults` by index in `deletes`. A delete of an absent record counts as unchanged.
    `splits` is how often the bulk had to be divided.
    """

    inserted: int = 0
    modified: int = 0
    unchanged: int = 0
    deleted: int = 0
    row_faults: Mapping[int, Fault] = field(default_factory=dict)
    delete_faults: Mapping[int, Fault] = field(default_factory=dict)
    splits: int = 0


@dataclass(frozen=True, slots=True)
class Interrupted:
    """Nothing was written, through no fault of a record (deadlock, lock or statement time-out): try again."""

    fault: Fault


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was written and nothing would be: the app itself is broken, gone or refuses us."""

    fault: Fault


class Connector(Protocol):
    """One open app. Methods raise nothing that the other app causes."""

    def describe(self, entity: str) -> Description | Refused:
        """Return what the app says about an entity, read afresh; Refused(entity_missing) if there is none."""

    def write(self, write: Write, *, isolate: bool = False) -> Written | Interrupted | Refused:
        """Apply one bulk write in one transaction of the app.

        With `isolate` the answer is never Interrupted: each record that is locked or too slow gets a fault of its own.
        """

    def check(self, entities: Sequence[str]) -> Sequence[Fault]:
        """Return what is wrong with our access to these entities: privileges, expiring password, a superuser as integration user."""

    def abort(self) -> None:
        """Break off, from another thread, what is under way: it fails and is not committed. Later calls connect anew."""

    def close(self) -> None:
        """Close every connection, whatever is under way."""
