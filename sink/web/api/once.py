"""Routes whose action is done once under an `Idempotency-Key` that the caller chose."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Annotated, assert_never

from fastapi import Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.routing import APIRoute

from sink.store import idempotent
from sink.store.idempotent import Answered, Began, OtherRequest, UnderWay
from sink.web.access.person import Person
from sink.web.problem import ProblemError
from sink.web.web import current_web

HEADER = "Idempotency-Key"
_LONGEST = 255
# the header as the OpenAPI document tells it; OnceRoute is what obeys it
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias=HEADER,
        max_length=_LONGEST,
        description="Chosen by the caller. The same request under the same key is carried out once within 24 hours; "
        "when sent again it gets the first answer.",
    ),
]

Handler = Callable[[Request], Awaitable[Response]]


class OnceRoute(APIRoute):
    """A route that keeps the answers of its actions by key: same request, same answer; other request, 422; under way, 409.

    A request that was refused leaves its key free.
    """

    def get_route_handler(self) -> Handler:  # type: ignore[override]  # reason: a coroutine function in either case
        """Return what answers a request."""
        handle = super().get_route_handler()

        async def once(request: Request) -> Response:
            key = request.headers.get(HEADER)
            person = getattr(request.state, "person", None)
            if key is None or not isinstance(person, Person) or request.method == "GET":
                return await handle(request)
            if not key.isprintable() or not 0 < len(key) <= _LONGEST:
                raise ProblemError(
                    422, "idempotency-key", f"{HEADER} has 1 to {_LONGEST} printable characters."
                )
            return await _keyed(request, person, key, handle)

        return once


async def _keyed(request: Request, person: Person, key: str, handle: Handler) -> Response:
    web = current_web(request)
    actor = f"{person.name} {person.role}"
    begun = await run_in_threadpool(
        idempotent.begin, web.store, actor, key, await _hash(request), web.clock_us()
    )
    match begun:
        case Began():
            pass
        case Answered(status, content):
            headers = {"Idempotency-Replayed": "true"}
            return Response(content, status, headers, media_type="application/json")
        case UnderWay():
            raise ProblemError(
                409, "under-way", "The request with this key is under way; ask again in a moment."
            )
        case OtherRequest():
            raise ProblemError(
                422, "idempotency-key", "This key was used for another request; choose a new one."
            )
        case _:
            assert_never(begun)
    done: Answered | None = None
    try:
        response = await handle(request)
        if response.status_code < 300:
            done = Answered(response.status_code, bytes(response.body))
            await run_in_threadpool(idempotent.finish, web.store, actor, key, done)
    finally:
        if done is None:
            await run_in_threadpool(idempotent.give_back, web.store, actor, key)
    return response


async def _hash(request: Request) -> str:
    told = (request.method, request.url.path, request.url.query, request.headers.get("if-match", ""))
    digest = hashlib.sha256("\n".join(told).encode())
    digest.update(b"\n" + await request.body())
    return digest.hexdigest()
