"""What stands between a request that went wrong and the one who sent it: no traceback and no value gets out.

Below /api a problem is JSON. Elsewhere it is what `page` makes of it, so that a person reads a page.
"""

from collections.abc import Callable

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from plumbing.unreachable import UnreachableError
from sink.archive import ArchiveError
from sink.desk.selection import WrongUse
from sink.desk.wire import Wrong
from sink.store.store import StoreAway
from sink.web.problem import ProblemError, answer, by_status

Page = Callable[[Request, ProblemError], Response]

# what these say is meant for people, and holds no values
_SAID: dict[type, tuple[int, str]] = {
    WrongUse: (422, "invalid"),
    ArchiveError: (409, "archive"),
    UnreachableError: (503, "unreachable"),
}
_AWAY = "The sink's database does not answer; try again in a moment."


def add_faults(app: FastAPI, page: Page | None = None) -> None:
    """Have the application answer every fault with a problem; `page` renders it for people."""

    def reply(request: Request, error: ProblemError) -> Response:
        if page is None or request.url.path.startswith("/api/"):
            return answer(error)
        return page(request, error)

    async def problem(request: Request, error: Exception) -> Response:
        return reply(request, _translated(request, error))

    for kind in (
        ProblemError, HTTPException, RequestValidationError, WrongUse, ArchiveError, UnreachableError,
        DBAPIError, PoolTimeout,
    ):  # fmt: skip
        app.add_exception_handler(kind, problem)
    app.add_middleware(LastResort, reply=reply)


class LastResort:
    """The boundary at which a bug of ours becomes an answer: 500, and one line in the log."""

    def __init__(self, app: ASGIApp, reply: Page) -> None:
        self._app = app
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001  the boundary of a request
            _log(scope, error)
            if not begun:
                fault = by_status(500, "This is a fault of Instep. The log of the sink tells more.")
                await self._reply(Request(scope), fault)(scope, receive, send)


def _translated(request: Request, error: Exception) -> ProblemError:
    match error:
        case ProblemError():
            return error
        case HTTPException():
            return by_status(error.status_code, error.detail, error.headers)
        case RequestValidationError():
            return ProblemError(422, "invalid", "Parts of the request are wrong.", wrong=_wrong(error))
        case WrongUse() | ArchiveError() | UnreachableError():
            status, kind = next(_SAID[each] for each in type(error).__mro__ if each in _SAID)
            return ProblemError(status, kind, f"{error}")
        case _ if isinstance(error, (*StoreAway, PoolTimeout)):
            # before there are tables nobody need read of it
            if isinstance(error, ProgrammingError) and "store" not in request.app.state.web.pulse.obstacles:
                _log(request.scope, error)
            return ProblemError(503, "store-away", _AWAY, headers={"Retry-After": "5"})
        case _:
            raise error


def _wrong(error: RequestValidationError) -> tuple[Wrong, ...]:
    return tuple(
        Wrong(where=".".join(str(part) for part in each["loc"][1:]) or str(each["loc"][0]), what=each["msg"])
        for each in error.errors()
    )


def _log(scope: Scope, error: Exception) -> None:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    # the text of an error may hold values
    where = f"{frame.tb_frame.f_code.co_qualname}:{frame.tb_lineno}" if frame else ""
    route = getattr(scope.get("route"), "path", "")
    structlog.get_logger().error(
        "a request failed", method=scope["method"], route=route, error=type(error).__name__, where=where
    )
