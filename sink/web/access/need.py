"""What a route asks of a person: every route takes exactly one of Viewer, Operator and Admin, or is an open route."""

import hmac
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from starlette.datastructures import UploadFile

from sink.web.access.forgery import SAFE_METHODS
from sink.web.access.person import Person, Role

OPEN_ROUTES = frozenset({"/livez", "/readyz", "/sign-in", "/api/openapi.json"})
"""Paths that anybody may ask for, with all that lies below /static/; `/metrics` too, where it is not protected."""

CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf"

_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def needs(role: Role) -> Callable[[Request], Awaitable[Person]]:
    """Return the dependency that answers with the person, or refuses: 401 a stranger, 403 a role too low or a forged form."""

    async def person(request: Request) -> Person:
        found = getattr(request.state, "person", None)
        if not isinstance(found, Person):
            raise HTTPException(401, "sign in, or send a token", {"WWW-Authenticate": "Bearer"})
        if not found.role.covers(role):
            raise HTTPException(403, f"this needs the role {role}; yours is {found.role}")
        if request.method not in SAFE_METHODS and found.csrf is not None:
            await _check_form(request, found.csrf)
        return found

    return person


async def _check_form(request: Request, expected: str) -> None:
    sent = request.headers.get(CSRF_HEADER)
    if sent is None and request.headers.get("content-type", "").startswith(_FORMS):
        field = (await request.form()).get(CSRF_FIELD)
        sent = None if isinstance(field, UploadFile) else field
    if sent is None or not hmac.compare_digest(sent.encode(), expected.encode()):
        await request.close()
        raise HTTPException(403, "the form is not from this page or is too old: load the page again")


Viewer = Annotated[Person, Depends(needs(Role.VIEWER))]
Operator = Annotated[Person, Depends(needs(Role.OPERATOR))]
Admin = Annotated[Person, Depends(needs(Role.ADMIN))]
