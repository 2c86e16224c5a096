"""What the page says of an action on the page after it: carried by a cookie, shown once."""

from dataclasses import asdict, dataclass
from urllib.parse import quote, unquote

import orjson
from fastapi import Request, Response
from fastapi.responses import RedirectResponse

COOKIE = "instep_said"
_LIVES_S = 60
_KINDS = ("done", "refused")
_LONGEST = 1500


@dataclass(frozen=True, slots=True)
class Flash:
    """A sentence on what was done or refused; `href` and `label`: a link to go on."""

    text: str
    kind: str = "done"
    href: str = ""
    label: str = ""


def go(to: str, said: Flash | None = None) -> RedirectResponse:
    """Return the answer to a form: on to another page, which says what was done."""
    answer = RedirectResponse(to, status_code=303)
    if said is not None:
        value = quote(orjson.dumps(asdict(said)), safe="")
        if len(value) <= _LONGEST * 2:
            answer.set_cookie(COOKIE, value, max_age=_LIVES_S, httponly=True, samesite="strict", path="/")
    return answer


def read_flash(request: Request) -> Flash | None:
    """Return what is to be said on this page, None where nothing is."""
    try:
        values = orjson.loads(unquote(request.cookies.get(COOKIE, "")))
        said = Flash(**{name: str(value)[:_LONGEST] for name, value in values.items()})
    except (ValueError, TypeError, AttributeError):
        return None
    inside = said.href.startswith("/") and not said.href.startswith(("//", "/\\"))
    return said if said.kind in _KINDS and (inside or not said.href) else None


def forget_flash(request: Request, answer: Response) -> None:
    """Take care that it is said once."""
    if COOKIE in request.cookies:
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
