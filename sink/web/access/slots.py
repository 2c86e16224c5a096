"""How many requests are worked on at once: the rest wait a moment, then are told to come again. Watching goes on beside."""

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from sink.web.problem import answer, by_status

AT_ONCE = 16
"""About as many as the pages' store has connections."""
WAIT_S = 5.0

_BESIDE = frozenset({"/livez", "/readyz", "/metrics"})


class Slots:
    """Bounds the work of an application; the bodies of requests must have arrived before."""

    def __init__(self, app: ASGIApp, at_once: int = AT_ONCE, wait_s: float = WAIT_S) -> None:
        self._app = app
        self._wait_s = wait_s
        self._slots = asyncio.Semaphore(at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on when it is its turn; 503 when that takes too long."""
        if scope["path"] in _BESIDE:
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._wait_s):
                await self._slots.acquire()
        except TimeoutError:
            busy = by_status(503, "The sink has too many requests at the moment.", {"Retry-After": "5"})
            await answer(busy)(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._slots.release()
