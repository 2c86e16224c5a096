"""Bodies of requests: whole before anything else happens, neither too large nor too slow."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sink.web.problem import ProblemError, answer

LARGEST_BYTES = 1 << 20
SLOWEST_S = 10.0


class WholeBody:
    """Reads a body of at most `largest` bytes within `slowest_s` seconds, then hands it on in one piece.

    A body that is sent to one of the paths in `streamed` is handed on as it comes.
    """

    def __init__(
        self,
        app: ASGIApp,
        largest: int = LARGEST_BYTES,
        slowest_s: float = SLOWEST_S,
        streamed: frozenset[str] = frozenset(),
    ) -> None:
        self._app = app
        self._streamed = streamed
        self._largest = largest
        self._slowest_s = slowest_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 413 or 408, or pass the request on."""
        if scope["type"] != "http" or scope["path"] in self._streamed:
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read(scope, receive)
        except ProblemError as error:
            await answer(error)(scope, receive, send)
            return
        if body is None:  # the client is gone
            return
        waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replayed() -> Message:
            return waiting.pop() if waiting else await receive()

        await self._app(scope, replayed, send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > self._largest:
            raise self._too_large()
        chunks: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._slowest_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    chunk = message.get("body", b"")
                    size += len(chunk)
                    if size > self._largest:
                        raise self._too_large()
                    chunks.append(chunk)
                    if not message.get("more_body", False):
                        return b"".join(chunks)
        except TimeoutError:
            raise ProblemError(
                408, "too-slow", f"The body did not arrive within {self._slowest_s:g} seconds.",
                headers={"Connection": "close"},
            ) from None  # fmt: skip

    def _too_large(self) -> ProblemError:
        detail = f"A request may have {self._largest} bytes at most; send fewer at a time, or a filter."
        return ProblemError(413, "too-large", detail, headers={"Connection": "close"})
