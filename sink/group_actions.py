"""What a person can have done to a group, the same from every surface; each action is written to the audit log."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, update

from sink.actions import Actor
from sink.groups import GroupState
from sink.store import audit
from sink.store.audit import DONE, REFUSED, Deed
from sink.store.groups import Group, read_group
from sink.store.store import Store
from sink.store.tables import group

MUTE, UNMUTE = "mute", "unmute"
# as far ahead as a setting may lie, which every surface can still tell as a date
_LONGEST_US = timedelta(days=36_500) // timedelta(microseconds=1)


class GroupRefusal(StrEnum):
    """Why a group stays as it is; the value is the sentence that a person reads."""

    NOT_FOUND = "there is no such group"
    RESOLVED = "it is resolved; there is nothing to mute"
    NO_END = "say until when, or up to how many entries, it is to be muted"
    OVER = "that is over already: the time lies in the past, or it has more entries than that"
    TOO_FAR = "that is too far ahead: 36500 days at most"
    NOT_MUTED = "it is not muted"
    CHANGED = "it changed in this moment; look at it again"


@dataclass(frozen=True, slots=True)
class GroupRefused:
    """The group stays as it is, and why."""

    group_id: str
    reason: GroupRefusal


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who asks, and when; `row_version` is that of the group as they saw it, None: whichever."""

    actor: Actor
    now_us: int
    row_version: int | None = None


def mute(
    store: Store,
    group_id: str,
    until_us: int | None,
    up_to: int | None,
    actor: Actor,
    now_us: int,
    *,
    row_version: int | None = None,
) -> Group | GroupRefused:
    """Keep a group out of what is open until a time, or until it has more relevant entries than `up_to`, whichever is first."""

    def refuse(found: Group) -> GroupRefusal | None:
        if found.state is GroupState.RESOLVED:
            return GroupRefusal.RESOLVED
        if until_us is None and up_to is None:
            return GroupRefusal.NO_END
        if until_us is not None and until_us > now_us + _LONGEST_US:
            return GroupRefusal.TOO_FAR
        over = (until_us is not None and until_us <= now_us) or (up_to is not None and up_to < found.relevant)
        return GroupRefusal.OVER if over else None

    values = {"muted_until_us": until_us, "muted_up_to": up_to, "muted_by": actor.name}
    return _change(store, group_id, MUTE, refuse, values, _Asked(actor, now_us, row_version))


def unmute(
    store: Store, group_id: str, actor: Actor, now_us: int, *, row_version: int | None = None
) -> Group | GroupRefused:
    """Let a muted group be seen among what is open again."""

    def refuse(found: Group) -> GroupRefusal | None:
        return None if found.state is GroupState.MUTED else GroupRefusal.NOT_MUTED

    values = dict.fromkeys(("muted_until_us", "muted_up_to", "muted_by"))
    return _change(store, group_id, UNMUTE, refuse, values, _Asked(actor, now_us, row_version))


def _change(
    store: Store,
    group_id: str,
    action: str,
    refuse: Callable[[Group], GroupRefusal | None],
    values: Mapping[str, Any],
    asked: _Asked,
) -> Group | GroupRefused:
    with store.writing() as connection:
        found = read_group(connection, group_id, now_us=asked.now_us)
        reason = GroupRefusal.NOT_FOUND if found is None else refuse(found)
        if found is not None and asked.row_version not in (None, found.row_version):
            reason = GroupRefusal.CHANGED
        if found is not None and reason is None and not _update(connection, found, values):
            reason = GroupRefusal.CHANGED
        actor = asked.actor
        deed = Deed(actor.name, actor.via, action, group_id, 1, DONE if reason is None else REFUSED)
        audit.record(connection, deed, asked.now_us)
        after = read_group(connection, group_id, now_us=asked.now_us) if reason is None else None
    return GroupRefused(group_id, reason or GroupRefusal.CHANGED) if after is None else after


def _update(connection: Connection, found: Group, values: Mapping[str, Any]) -> bool:
    same = (group.c.id == found.id, group.c.row_version == found.row_version)
    changed = update(group).where(*same).values(**values, row_version=group.c.row_version + 1)
    return connection.execute(changed).rowcount == 1
