"""Groups through the HTTP API of a sink."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sink import actions
from sink.desk.groups import GroupPage, GroupSelection, span_us, to_group_filter
from sink.desk.remote_jobs import Caller, Fields, RefusedError
from sink.desk.selection import whole_group_id
from sink.group_actions import GroupRefusal, GroupRefused
from sink.groups import GroupState
from sink.moment import to_text, to_us
from sink.states import State
from sink.store.groups import Group

_LOOKED_THROUGH = 1000


class RemoteGroups:
    """The groups of a sink, for the owner of a token."""

    def __init__(self, caller: Caller, clock_us: Callable[[], int] = actions.now_us) -> None:
        self._caller = caller
        self._clock_us = clock_us

    def list_groups(self, selection: GroupSelection, *, limit: int, after: str | None) -> GroupPage:
        """Return a page of groups, those with the most entries first."""
        wanted = to_group_filter(selection)
        parts = {
            "state": [str(state) for state in wanted.states],
            "mapping": list(wanted.mappings),
            "category": list(wanted.categories),
            "code": list(wanted.codes),
        }
        asked: Fields = {name: values for name, values in parts.items() if values}
        asked |= {"limit": limit} | ({} if after is None else {"after": after})
        page = self._caller.get("/groups", asked) or {"groups": [], "after": None}
        return GroupPage([_group(each) for each in page["groups"]], page["after"])

    def mute(self, typed_id: str, *, span: str | None, up_to: int | None) -> Group | GroupRefused:
        """Mute a group for a time such as 7d, or until it has more relevant entries than `up_to`."""
        until = None if span is None else to_text(self._clock_us() + span_us(span, "--for"))
        return self._told(typed_id, "mute", {"until": until, "up_to": up_to})

    def unmute(self, typed_id: str) -> Group | GroupRefused:
        """End the mute of a group."""
        return self._told(typed_id, "unmute", {})

    def _told(self, typed_id: str, verb: str, content: Fields) -> Group | GroupRefused:
        group_id = whole_group_id(typed_id, self._ids)
        if self._caller.get(f"/groups/{group_id}", {}) is None:
            return GroupRefused(group_id, GroupRefusal.NOT_FOUND)
        try:
            return _group(self._caller.post(f"/groups/{group_id}/{verb}", content))
        except RefusedError as error:
            said = str(error).removeprefix("This cannot be done: ").removesuffix(".")
            return GroupRefused(group_id, GroupRefusal(said))

    def _ids(self, start: str) -> list[str]:
        page = self._caller.get("/groups", {"limit": _LOOKED_THROUGH}) or {"groups": []}
        return [each["id"] for each in page["groups"] if each["id"].startswith(start)]


def _group(fields: Fields) -> Group:
    return Group(
        id=fields["id"],
        mapping=fields["mapping"],
        direction=fields["direction"],
        category=fields["category"],
        code=fields["code"],
        message=fields["message"],
        row_version=fields["row_version"],
        state=GroupState(fields["state"]),
        relevant=fields["relevant"],
        states={State(state): number for state, number in fields["states"].items()},
        first_seen_us=_us(fields["first_seen_at"]) or 0,
        last_seen_us=_us(fields["last_seen_at"]) or 0,
        resolved_us=_us(fields["resolved_at"]),
        regressed_us=_us(fields["regressed_at"]),
        muted_until_us=_us(fields["muted_until"]),
        muted_up_to=fields["muted_up_to"],
        muted_by=fields["muted_by"],
        hours=tuple(fields["failed_by_hour"]),
    )


def _us(text: Any) -> int | None:
    return None if text is None else to_us(datetime.fromisoformat(text))
