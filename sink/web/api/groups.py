"""/groups: entries with one cause."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from sink import group_actions
from sink.actions import Wish
from sink.desk.selection import Selection, read_cursor, write_cursor
from sink.desk.wire import ActionForm, Form, StepsView, Times, moment, moment_or_none
from sink.group_actions import GroupRefusal, GroupRefused
from sink.groups import GroupState
from sink.moment import to_us
from sink.store.groups import Group, GroupFilter, GroupOrder, group_key, read_group, read_groups
from sink.web.access.need import Operator, Viewer
from sink.web.api.acting import IfMatch, actor_of, desk_of, etag, wanted_version
from sink.web.api.entries import steps_view
from sink.web.api.once import IdempotencyKey, OnceRoute
from sink.web.api.selecting import After, Limit, Words
from sink.web.api.strict import Word
from sink.web.problem import ProblemError, documented, not_found
from sink.web.web import Web, WebDep

router = APIRouter(
    prefix="/groups", tags=["groups"], route_class=OnceRoute, responses=documented(401, 403, 422, 503)
)


class GroupView(BaseModel):
    """Entries with one cause."""

    id: str
    row_version: int
    mapping: str
    direction: str
    category: str
    code: str
    message: str = Field(description="What its entries say, without what differs from record to record.")
    state: GroupState
    relevant: int = Field(description="How many of its entries are not closed.")
    states: dict[str, int] = Field(description="How many of its entries stand where.")
    first_seen_at: Times
    last_seen_at: Times
    resolved_at: Times | None
    regressed_at: Times | None = Field(description="When it came back after it was resolved.")
    muted_until: Times | None
    muted_up_to: int | None = Field(
        description="Muted until it has more entries than this that are not closed."
    )
    muted_by: str | None
    failed_by_hour: list[int] = Field(description="Failures in each of the last 24 hours, the oldest first.")


class GroupPageView(BaseModel):
    """A page of groups, those with the most entries first."""

    groups: list[GroupView]
    after: str | None = Field(description="Send it as `after` for the next page; null: there is none.")


class MuteForm(Form):
    """Until when a group is to be out of sight; one of the two, or both."""

    until: AwareDatetime | None = Field(default=None, description="ISO 8601 with its offset from UTC.")
    up_to: int | None = Field(
        default=None, ge=0, lt=1 << 31, description="Until it has more entries than this that are not closed."
    )


@router.get("")
def list_groups(
    _person: Viewer,
    web: WebDep,
    state: Annotated[list[GroupState], Query(description="Left out: all.")] = [],  # noqa: B006  FastAPI copies it
    mapping: Annotated[Words, Query()] = [],  # noqa: B006  FastAPI copies it
    category: Annotated[Words, Query()] = [],  # noqa: B006  FastAPI copies it
    code: Annotated[Words, Query()] = [],  # noqa: B006  FastAPI copies it
    text: Annotated[Word | None, Query(description="Stands in the message.")] = None,
    order: Annotated[GroupOrder, Query(description="What comes first.")] = GroupOrder.ENTRIES,
    limit: Limit = 50,
    after: After = None,
) -> GroupPageView:
    """List groups, those with the most entries first."""
    wanted = GroupFilter(
        states=tuple(state),
        mappings=tuple(mapping),
        categories=tuple(category),
        codes=tuple(code),
        text=text,
        order=order,
    )
    start = None if after is None else read_cursor(after)
    with web.store.reading() as connection:
        page = read_groups(connection, wanted, start, limit + 1, now_us=web.clock_us())
    more = write_cursor(group_key(page[limit - 1], order)) if len(page) > limit else None
    return GroupPageView(groups=[_view(each) for each in page[:limit]], after=more)


@router.get("/{group_id}", responses=documented(404))
def show_group(group_id: str, _person: Viewer, web: WebDep, response: Response) -> GroupView:
    """Show one group. `GET /entries?group=…` lists its entries."""
    found = _group(web, group_id)
    response.headers["ETag"] = etag(found.row_version)
    return _view(found)


@router.post("/{group_id}/mute", responses=documented(404, 409, 412))
def mute(
    group_id: str,
    form: MuteForm,
    person: Operator,
    web: WebDep,
    if_match: IfMatch = None,
    _key: IdempotencyKey = None,
) -> GroupView:
    """Keep a group out of what is open until a time, or until it has more entries than `up_to`, whichever is first."""
    version = wanted_version(if_match)
    until_us = None if form.until is None else to_us(form.until)
    actor, now_us = actor_of(person), web.clock_us()
    done = group_actions.mute(web.store, group_id, until_us, form.up_to, actor, now_us, row_version=version)
    return _told(done, had_version=version is not None)


@router.post("/{group_id}/unmute", responses=documented(404, 409, 412))
def unmute(
    group_id: str, person: Operator, web: WebDep, if_match: IfMatch = None, _key: IdempotencyKey = None
) -> GroupView:
    """Let a muted group be seen among what is open again."""
    version = wanted_version(if_match)
    done = group_actions.unmute(web.store, group_id, actor_of(person), web.clock_us(), row_version=version)
    return _told(done, had_version=version is not None)


@router.post("/{group_id}/actions", responses=documented(404))
def act_on_group(
    group_id: str, form: ActionForm, person: Operator, web: WebDep, _key: IdempotencyKey = None
) -> StepsView:
    """Replay, resolve or discard the entries that the group has now and that are not closed."""
    _group(web, group_id)
    desk = desk_of(web, person)
    chosen = desk.choose(Selection(groups=(group_id,)))
    return steps_view(desk.act(chosen.ids, Wish(form.action, form.reason, named=False), lambda _: None))


def _group(web: Web, group_id: str) -> Group:
    with web.store.reading() as connection:
        found = read_group(connection, group_id, now_us=web.clock_us())
    if found is None:
        raise not_found("group")
    return found


def _told(done: Group | GroupRefused, *, had_version: bool) -> GroupView:
    if not isinstance(done, GroupRefused):
        return _view(done)
    word = done.reason.name.lower()
    match done.reason:
        case GroupRefusal.NOT_FOUND:
            raise not_found("group")
        case GroupRefusal.CHANGED if had_version:
            detail = "The group changed since you looked at it; read it again."
            raise ProblemError(412, "stale", detail, refused=word)
        case reason:
            raise ProblemError(409, "refused", f"This cannot be done: {reason}.", refused=word)


def _view(group: Group) -> GroupView:
    return GroupView(
        id=group.id,
        row_version=group.row_version,
        mapping=group.mapping,
        direction=group.direction,
        category=group.category,
        code=group.code,
        message=group.message,
        state=group.state,
        relevant=group.relevant,
        states={str(state): number for state, number in group.states.items()},
        first_seen_at=moment(group.first_seen_us),
        last_seen_at=moment(group.last_seen_us),
        resolved_at=moment_or_none(group.resolved_us),
        regressed_at=moment_or_none(group.regressed_us),
        muted_until=moment_or_none(group.muted_until_us),
        muted_up_to=group.muted_up_to,
        muted_by=group.muted_by,
        failed_by_hour=list(group.hours),
    )
