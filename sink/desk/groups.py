"""Groups as a surface sees and mutes them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Protocol

from pydantic_core import PydanticCustomError

from schemas.catalogue import Category, catalogue
from schemas.config.scalar import parse_duration
from sink import actions, group_actions
from sink.actions import Actor
from sink.desk.selection import WrongUse, known, read_cursor, whole_group_id, write_cursor
from sink.group_actions import GroupRefused
from sink.groups import GroupState
from sink.store.groups import Group, GroupFilter, find_group_ids, group_key, read_groups
from sink.store.store import Store


@dataclass(frozen=True, slots=True)
class GroupSelection:
    """The options as they were typed; without states, groups that are open or came back."""

    states: Sequence[str] = ()
    mappings: Sequence[str] = ()
    categories: Sequence[str] = ()
    codes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class GroupPage:
    """Groups, those with the most entries first, and where the next page begins; None: there is none."""

    groups: list[Group]
    after: str | None


class GroupDesk(Protocol):
    """Reads and mutes groups. Everything raises WrongUse for what makes no sense, UnreachableError when nobody answers."""

    def list_groups(self, selection: GroupSelection, *, limit: int, after: str | None) -> GroupPage:
        """Return a page of groups, those with the most entries first."""

    def mute(self, typed_id: str, *, span: str | None, up_to: int | None) -> Group | GroupRefused:
        """Mute a group for a time such as 7d, or until it has more relevant entries than `up_to`."""

    def unmute(self, typed_id: str) -> Group | GroupRefused:
        """End the mute of a group."""


class DirectGroups:
    """The groups of a store, for one person; raises what StoreAway lists when the store is away."""

    def __init__(self, store: Store, actor: Actor, clock_us: Callable[[], int] = actions.now_us) -> None:
        self._store = store
        self._actor = actor
        self._clock_us = clock_us

    def list_groups(self, selection: GroupSelection, *, limit: int, after: str | None) -> GroupPage:
        """Return a page of groups, those with the most entries first."""
        start = None if after is None else read_cursor(after)
        wanted = to_group_filter(selection)
        with self._store.reading() as connection:
            page = read_groups(connection, wanted, start, limit + 1, now_us=self._clock_us())
        return GroupPage(
            page[:limit], write_cursor(group_key(page[limit - 1])) if len(page) > limit else None
        )

    def mute(self, typed_id: str, *, span: str | None, up_to: int | None) -> Group | GroupRefused:
        """Mute a group for a time such as 7d, or until it has more relevant entries than `up_to`."""
        moment = self._clock_us()
        until_us = None if span is None else moment + span_us(span, "--for")
        return group_actions.mute(self._store, self._whole(typed_id), until_us, up_to, self._actor, moment)

    def unmute(self, typed_id: str) -> Group | GroupRefused:
        """End the mute of a group."""
        return group_actions.unmute(self._store, self._whole(typed_id), self._actor, self._clock_us())

    def _whole(self, typed_id: str) -> str:
        with self._store.reading() as connection:
            return whole_group_id(typed_id, partial(find_group_ids, connection))


def to_group_filter(selection: GroupSelection) -> GroupFilter:
    """Return the groups that are meant: without states named, those that are open or came back."""
    states = tuple(GroupState(known("state", each, list(GroupState))) for each in selection.states)
    return GroupFilter(
        states=states or (GroupState.OPEN, GroupState.REGRESSED),
        mappings=tuple(selection.mappings),
        categories=tuple(known("category", each, list(Category)) for each in selection.categories),
        codes=tuple(known("code", each, list(catalogue())) for each in selection.codes),
    )


def span_us(text: str, option: str) -> int:
    """Return a duration such as 7d in microseconds."""
    try:
        return parse_duration(text) // timedelta(microseconds=1)
    except PydanticCustomError as error:
        raise WrongUse(f"{option} {error.message()}") from None
