"""The page *Audit*: who did what, through what, on how much, and what came of it."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse

from sink.store.audit import read_audit
from sink.web.access.need import Admin
from sink.web.page.list_query import Chip
from sink.web.page.rendering import PageDep

router = APIRouter()

_PAGE = 100
_LARGEST_ID = 2**31 - 1


@router.get("/audit")
def audit(
    person: Admin,
    page: PageDep,
    actor: Annotated[str, Query(max_length=200)] = "",
    action: Annotated[str, Query(max_length=200)] = "",
    after: Annotated[int | None, Query(ge=0, le=_LARGEST_ID)] = None,
) -> HTMLResponse:
    """What was done, the latest first."""
    with page.web.store.reading() as connection:
        noted = read_audit(connection, after, _PAGE + 1, actor or None, action or None)
    filters = {name: value for name, value in (("actor", actor), ("action", action)) if value}
    shown = noted[:_PAGE]
    return page.show(
        person,
        "audit.html",
        noted=shown,
        keeps_for=page.web.config.sink.retention.audit.total_seconds(),
        actor=actor,
        action=action,
        chips=_chips(filters),
        first=_address(filters) if after is not None else None,
        next=_address(filters | {"after": str(shown[-1].id)}) if len(noted) > _PAGE else None,
    )


def _chips(filters: dict[str, str]) -> list[Chip]:
    return [
        Chip(name, value, _address({other: each for other, each in filters.items() if other != name}))
        for name, value in filters.items()
    ]


def _address(parameters: dict[str, str]) -> str:
    return f"/audit?{urlencode(parameters)}" if parameters else "/audit"
