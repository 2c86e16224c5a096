"""Signing in at the page with a token, and out again."""

from dataclasses import dataclass
from typing import Annotated, cast

import anyio.to_thread
import structlog
from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from sink.store.sessions import LONGEST
from sink.web.access.admission import Admission
from sink.web.access.cookie import cookie_name, drop_cookie, give_cookie
from sink.web.access.forwarded import network_of
from sink.web.access.gate import SIGN_IN, charge
from sink.web.access.need import Viewer
from sink.web.access.pace import Pace
from sink.web.page.rendering import Page, PageDep
from sink.web.problem import ProblemError

router = APIRouter(include_in_schema=False)

_LONGEST_PLACE = 2000
_WRONG = "This token is not in force: it is mistyped, expired or revoked."


@dataclass(frozen=True, slots=True)
class Access:
    """What signing in works with."""

    admission: Admission
    pace: Pace


@router.get(SIGN_IN)
def show_sign_in(request: Request, page: PageDep, next: str = "/") -> Response:  # noqa: A002  as it stands in the address
    """The form to sign in with a token; nobody needs it while there is none."""
    if not _access(request).admission.guarded():
        return RedirectResponse("/", status_code=303)
    return _form(page, next, None)


@router.post(SIGN_IN)
async def sign_in(
    request: Request,
    page: PageDep,
    token: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002  as it stands in the form
) -> Response:
    """Begin a session; the answer to a token that opens nothing is the same whatever is wrong with it."""
    access, origin = _access(request), request.state.origin
    client = network_of(origin.client)
    try:
        charge(access.pace, client)
    except ProblemError as error:
        answer = await anyio.to_thread.run_sync(_form, page, next, error.problem.detail, 429)
        answer.headers.update(error.headers or {})
        return answer
    begun = await anyio.to_thread.run_sync(access.admission.sign_in, token.strip())
    if begun is None:
        structlog.get_logger().warning("signing in with a wrong token", client=origin.client)
        return await anyio.to_thread.run_sync(_form, page, next, _WRONG, 401)
    access.pace.give_back(client)
    signed_in = RedirectResponse(own_place(next), status_code=303)
    give_cookie(signed_in, begun[0], origin.scheme, int(LONGEST.total_seconds()))
    return signed_in


@router.post("/sign-out")
def sign_out(request: Request, person: Viewer) -> Response:
    """End the session."""
    scheme = request.state.origin.scheme
    cookie = request.cookies.get(cookie_name(scheme))
    if cookie is None:
        return RedirectResponse("/", status_code=303)
    _access(request).admission.sign_out(cookie, person)
    signed_out = RedirectResponse(SIGN_IN, status_code=303)
    drop_cookie(signed_out, scheme)
    return signed_out


def own_place(place: str) -> str:
    """Return where to go on after signing in: an address of this sink, whatever was asked for."""
    own = place.startswith("/") and not place.startswith(("//", "/sign-")) and "\\" not in place
    return place if own and place.isprintable() and len(place) <= _LONGEST_PLACE else "/"


def _form(page: Page, place: str, wrong: str | None, status: int = 200) -> Response:
    return page.show(None, "sign_in.html", status=status, place=own_place(place), wrong=wrong)


def _access(request: Request) -> Access:
    return cast(Access, request.app.state.access)
