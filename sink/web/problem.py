"""What goes wrong with a request, told in the form of RFC 9457: application/problem+json."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse

from sink.desk.wire import Problem, Wrong

MEDIA_TYPE = "application/problem+json"


class ProblemError(Exception):
    """A request that cannot be carried out; `kind` is the end of the problem's type."""

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        wrong: tuple[Wrong, ...] = (),
        refused: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(kind)
        self.problem = Problem(
            type=f"urn:instep:problem:{kind}",
            title=HTTPStatus(status).phrase,
            status=status,
            detail=detail,
            wrong=list(wrong) or None,
            refused=refused,
        )
        self.headers = headers


def answer(error: ProblemError) -> JSONResponse:
    """Return a problem as a response."""
    content = error.problem.model_dump(exclude_none=True)
    return JSONResponse(content, error.problem.status, error.headers, media_type=MEDIA_TYPE)


def not_found(what: str) -> ProblemError:
    """Return that something does not exist, or no longer."""
    return ProblemError(404, "not-found", f"There is no such {what}, or no longer.")


_WORDS = {
    400: "The request cannot be understood.",
    401: "Sign in, or send a token.",
    403: "You may not do this.",
    404: "There is nothing at this address.",
    409: "This cannot be done now.",
    412: "It changed since you looked at it; read it again.",
    413: "The request is too large.",
    415: "The body is not of a kind that is taken here; send application/json.",
    422: "Parts of the request are wrong.",
    429: "Too many requests; wait a moment.",
    503: "The sink's database is away; try again in a moment.",
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return responses for the OpenAPI document."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": _WORDS[status].partition(";")[0].rstrip("."), "content": content}
        for status in statuses
    }


def by_status(status: int, detail: str | None, headers: Mapping[str, str] | None = None) -> ProblemError:
    """Return the problem that a bare status code stands for."""
    title = HTTPStatus(status).phrase
    kind = title.lower().replace(" ", "-").replace("'", "")
    said = detail if detail and detail != title else _WORDS.get(status, title)
    return ProblemError(status, kind, said, headers=headers)
