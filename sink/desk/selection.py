"""What options or query parameters select, as text, turned into entries. Raises WrongUse for what makes no sense."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from pydantic_core import PydanticCustomError
from sqlalchemy import Connection

from schemas.catalogue import Category, Fixer, catalogue
from schemas.config.problem import did_you_mean
from schemas.config.scalar import parse_duration
from sink.states import RELEVANT, State
from sink.store.entries import Filter, PageKey, find_ids, read_ids
from sink.store.groups import find_group_ids

_SHORTEST_ID = 4
_WHOLE_ID = 16
# microseconds since 1970, far beyond the year 9999 and within what a database counts in
_MOMENT = re.compile(r"[0-9]{1,18}")


class WrongUse(Exception):  # noqa: N818  named for what is the case
    """What was asked makes no sense; the text says which part and why."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The options as they were typed, the parameters as they were sent."""

    ids: Sequence[str] = ()
    states: Sequence[str] = ()
    mappings: Sequence[str] = ()
    categories: Sequence[str] = ()
    codes: Sequence[str] = ()
    records: Sequence[str] = ()
    groups: Sequence[str] = ()
    fixers: Sequence[str] = ()
    text: str | None = None
    older_than: str | None = None
    newer_than: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was selected at all, which means everything."""
        return self == Selection()

    def in_words(self) -> str:
        """Return what is selected, for people and the audit log: filters by name, but not what was searched for."""
        if self.ids:
            return f"entry {self.ids[0]}" if len(self.ids) == 1 else f"{len(self.ids)} entries by id"
        named = {
            "state": self.states,
            "mapping": self.mappings,
            "category": self.categories,
            "code": self.codes,
            "group": self.groups,
            "fixed by": self.fixers,
            "older than": [self.older_than] if self.older_than else [],
            "newer than": [self.newer_than] if self.newer_than else [],
        }
        words = [f"{name} {' or '.join(values)}" for name, values in named.items() if values]
        words += [f"a {name}" for name, value in (("record", self.records), ("text", self.text)) if value]
        return ", ".join(words) or "every entry that is not closed"


def to_filter(selection: Selection, now_us: int, *, closed_too: bool = False) -> Filter:
    """Return the entries that are meant: without states named, those that are not closed."""
    states = tuple(State(known("state", state, list(State))) for state in selection.states)
    if not states and not closed_too and not selection.ids:
        states = tuple(sorted(RELEVANT))
    return Filter(
        ids=tuple(selection.ids),
        states=states,
        mappings=tuple(selection.mappings),
        categories=tuple(known("category", each, list(Category)) for each in selection.categories),
        codes=tuple(known("code", code, list(catalogue())) for code in selection.codes),
        records=tuple(selection.records),
        groups=tuple(selection.groups),
        fixers=tuple(known("fixer", fixer, list(Fixer)) for fixer in selection.fixers),
        text=selection.text,
        failed_before_us=_before(selection.older_than, now_us, "older-than"),
        failed_after_us=_before(selection.newer_than, now_us, "newer-than"),
    )


def read_filter(
    connection: Connection, selection: Selection, now_us: int, *, closed_too: bool = False
) -> Filter:
    """Return the entries that are meant, their groups by whole ids; raises WrongUse for a group that there is not."""
    wanted = to_filter(selection, now_us, closed_too=closed_too)
    return replace(wanted, groups=tuple(_whole_group(connection, each) for each in wanted.groups))


def over_before(text: str | None, now_us: int) -> int | None:
    """Return the moment that lies a duration back."""
    return _before(text, now_us, "older-than")


def whole_ids(connection: Connection, ids: Sequence[str]) -> list[str]:
    """Return the whole ids of entries of which the first digits were typed."""
    return [_whole_id(connection, each.strip().lower()) for each in ids]


def selected_ids(connection: Connection, selection: Selection, now_us: int) -> list[str]:
    """Return the ids that an action works on: those typed, or all that match at this moment."""
    if selection.ids:
        return whole_ids(connection, selection.ids)
    return read_ids(connection, read_filter(connection, selection, now_us))


def read_cursor(text: str) -> PageKey:
    """Return where the next page begins, as the page before said."""
    moment, _, entry_id = text.partition("-")
    if not _MOMENT.fullmatch(moment) or not entry_id:
        raise WrongUse("after: this is not what the page before ended with")
    return int(moment), entry_id


def write_cursor(key: PageKey) -> str:
    """Return where the next page begins, as text."""
    return f"{key[0]}-{key[1]}"


def _whole_group(connection: Connection, typed: str) -> str:
    group_id = whole_group_id(typed, partial(find_group_ids, connection))
    if not find_group_ids(connection, group_id):
        raise WrongUse(f'there is no group "{group_id}", or no longer')
    return group_id


def _whole_id(connection: Connection, typed: str) -> str:
    if len(typed) >= _WHOLE_ID:
        return typed
    if len(typed) < _SHORTEST_ID or not typed.isalnum():
        raise WrongUse(f'"{typed}" is no id of an entry; type at least its first {_SHORTEST_ID} digits')
    found = find_ids(connection, typed)
    if len(found) > 1:
        raise WrongUse(f'several entries begin with "{typed}"; type more of the id')
    return found[0] if found else typed


def whole_group_id(typed_id: str, find: Callable[[str], Sequence[str]]) -> str:
    """Return the whole id of a group of which the first digits were typed; `find` returns ids that begin with a text."""
    typed = typed_id.strip().lower()
    if len(typed) < _SHORTEST_ID or not typed.isalnum():
        raise WrongUse(f'"{typed}" is no id of a group; type at least its first {_SHORTEST_ID} digits')
    if len(typed) >= _WHOLE_ID:
        return typed
    found = find(typed)
    if len(found) > 1:
        raise WrongUse(f'several groups begin with "{typed}"; type more of the id')
    return found[0] if found else typed


def known(what: str, value: str, names: Sequence[str]) -> str:
    """Return the value if it is one of the names, or raise WrongUse."""
    if value not in names:
        listed = ", ".join(names) if len(names) <= 10 else "those of `instep explain`"
        raise WrongUse(f'there is no {what} "{value}"; known are {listed}.{did_you_mean(value, names)}')
    return value


def _before(text: str | None, now_us: int, option: str) -> int | None:
    if text is None:
        return None
    try:
        age = parse_duration(text)
    except PydanticCustomError as error:
        raise WrongUse(f"{option} {error.message()}") from None
    return now_us - age // timedelta(microseconds=1)
