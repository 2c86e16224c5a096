"""/audit: who did what."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from sink.desk.wire import Times, moment
from sink.store.audit import Noted, read_audit
from sink.web.access.need import Admin
from sink.web.api.selecting import Limit
from sink.web.api.strict import Word
from sink.web.problem import documented
from sink.web.web import WebDep

router = APIRouter(prefix="/audit", tags=["audit"], responses=documented(401, 403, 422, 503))


class DeedView(BaseModel):
    """One action of a person or of the sink itself."""

    id: int
    at: Times
    actor: str
    via: str = Field(description="Through what: cli, api, page, retention.")
    action: str
    what: str = Field(description="On what; never a value.")
    count: int = Field(description="On how many entries.")
    outcome: str = Field(description="done or refused")


class AuditView(BaseModel):
    """A page of the audit log, the latest first."""

    deeds: list[DeedView]
    after: int | None = Field(description="Send it as `after` for the next page; null: there is none.")


@router.get("")
def list_audit(
    _person: Admin,
    web: WebDep,
    limit: Limit = 50,
    after: Annotated[int | None, Query(ge=0, lt=1 << 31)] = None,
    actor: Annotated[Word | None, Query(description="Only what this one did.")] = None,
    action: Annotated[Word | None, Query(description="Only this action.")] = None,
) -> AuditView:
    """List what was done, the latest first."""
    with web.store.reading() as connection:
        page = read_audit(connection, after, limit + 1, actor, action)
    more = page[limit - 1].id if len(page) > limit else None
    return AuditView(deeds=[_view(noted) for noted in page[:limit]], after=more)


def _view(noted: Noted) -> DeedView:
    deed = noted.deed
    return DeedView(
        id=noted.id,
        at=moment(noted.at_us),
        actor=deed.actor,
        via=deed.via,
        action=deed.action,
        what=deed.what,
        count=deed.count,
        outcome=deed.outcome,
    )
