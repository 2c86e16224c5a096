"""The page for what cannot be shown or done: what happened, and what to do."""

from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from sink.web.access.person import Person
from sink.web.page.frame import NO_FRAME
from sink.web.page.rendering import Page
from sink.web.problem import ProblemError
from sink.web.web import Web

_TITLES = {
    400: "This cannot be understood",
    401: "Sign in first",
    403: "This is not for your role",
    404: "There is no such page",
    405: "This address takes no such request",
    409: "This cannot be done now",
    413: "That is too much at once",
    422: "Something in the request is wrong",
    429: "Too many requests",
    503: "The list cannot be read at the moment",
}
# what only the store can be the reason of: that it is away, and that it cannot tell who asks
_STORE_AWAY = ("urn:instep:problem:store-away", "urn:instep:problem:service-unavailable")
_STORE_AWAY_WHY = (
    "The sink's database does not answer. Nothing is lost: failures wait in Kafka and are read when it is back. "
    "Load this page again in a moment; if it stays so, look at the database and at the sink's log."
)


def failing_page(request: Request, error: ProblemError) -> Response:
    """Return a page that says what is the matter, without asking the store; a stranger is led to the sign-in page."""
    problem = error.problem
    if problem.status == 401 and request.method == "GET":
        address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?next={quote(address, safe='')}", status_code=303)
    web: Web = request.app.state.web
    found = getattr(request.state, "person", None)
    answer = Page(request, web).show(
        found if isinstance(found, Person) else None,
        "failing.html",
        status=problem.status,
        frame=NO_FRAME,
        title=_TITLES.get(problem.status, "Something went wrong"),
        why=_STORE_AWAY_WHY if problem.type in _STORE_AWAY else problem.detail,
        wrong=problem.wrong or [],
    )
    answer.headers.update(error.headers or {})
    return answer
