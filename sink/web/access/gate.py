"""The gate before every route: whoever is known is let in as a Person, everybody else to the open routes alone."""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar
from urllib.parse import quote

import anyio
import anyio.to_thread
import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request, cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sink.desk.wire import Wrong
from sink.store.tokens import hash_secret
from sink.web.access.admission import Admission
from sink.web.access.connection import LARGEST_HEAD_BYTES
from sink.web.access.cookie import cookie_name, drop_cookie
from sink.web.access.forgery import SAFE_METHODS, is_from_elsewhere
from sink.web.access.forwarded import Network, Origin, network_of, origin
from sink.web.access.need import OPEN_ROUTES
from sink.web.access.pace import Pace
from sink.web.access.person import Person
from sink.web.problem import ProblemError, answer, by_status

METRICS, SIGN_IN = "/metrics", "/sign-in"
LONGEST_ADDRESS_BYTES = 8 * 1024
# how many look into the store at once for who asks
_LOOKING = 4
_MOST_RECENT = 1024

Found = TypeVar("Found")
Page = Callable[[Request, ProblemError], Response]


class Gate:
    """An ASGI application before another one. `state.person` is the person, `state.origin` where the request comes from."""

    def __init__(
        self,
        app: ASGIApp,
        admission: Admission,
        pace: Pace,
        trusted: Sequence[Network],
        page: Page,
        *,
        open_metrics: bool,
    ) -> None:
        self._app = app
        self._page = page
        self._admission = admission
        self._pace = pace
        self._trusted = trusted
        self._open = OPEN_ROUTES | ({METRICS} if open_metrics else frozenset())
        self._recent = _Recent()
        self._tried_now: Counter[str] = Counter()
        self._looking = anyio.CapacityLimiter(_LOOKING)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer why not."""
        if scope["type"] != "http":
            return
        headers = joined(scope["headers"])
        peer = scope["client"][0] if scope["client"] else ""
        asked = origin(peer, scope["scheme"], headers, self._trusted)
        scope["scheme"] = asked.scheme
        scope["client"] = (asked.client, 0)
        scope.setdefault("state", {})["origin"] = asked
        try:
            found = await self._decide(scope, headers, asked)
        except ProblemError as error:
            await self._refuse(scope, headers, asked, error)(scope, receive, send)
            return
        if found is None:
            await self._app(scope, receive, send)
            return
        scope["state"]["person"] = found
        await self._pass(found, scope, receive, send)

    async def _decide(self, scope: Scope, headers: Mapping[str, str], asked: Origin) -> Person | None:
        """Return the person, or None where there need be none; raises ProblemError."""
        _check_head(scope, headers)
        if is_from_elsewhere(scope["method"], headers, asked.host):
            raise by_status(403, "The request comes from the page of another site.")
        path = scope["path"]
        if path in self._open or path.startswith("/static/"):
            return None
        try:
            return await self._known(scope, headers, asked)
        except SQLAlchemyError as error:
            # away, or without tables yet; whatever it is, nobody is let in
            structlog.get_logger().warning("the store cannot tell who asks", error=type(error).__name__)
            raise by_status(503, None, {"Retry-After": "5"}) from None

    async def _known(self, scope: Scope, headers: Mapping[str, str], asked: Origin) -> Person:
        if "authorization" in headers:
            return await self._by_token(headers["authorization"], asked)
        cookie = cookie_parser(headers.get("cookie", "")).get(cookie_name(asked.scheme))
        if cookie:
            # whoever clicks loads a page; htmx is there for what a page asks of itself, by a timer
            by_cookie = partial(self._admission.by_cookie, cookie, in_use="hx-request" not in headers)
            if (person := await self._look(by_cookie)) is not None:
                return person
        if await self._look(self._admission.guarded):
            raise _stranger()
        local = self._admission.by_place(asked, headers, scope["path"], scope["http_version"])
        if local is None:
            raise by_status(403, _LOCAL_ONLY)
        return local

    async def _by_token(self, authorization: str, asked: Origin) -> Person:
        kind, _, secret = authorization.partition(" ")
        secret_hash, client = hash_secret(secret.strip()), network_of(asked.client)
        # what was right lately is not held up by others who try at the same address; one secret at once is one try
        charged = secret_hash not in self._recent and secret_hash not in self._tried_now
        if charged:
            charge(self._pace, client)
        bearer = kind.lower() == "bearer"
        self._tried_now[secret_hash] += 1
        try:
            person = await self._look(partial(self._admission.by_token, secret_hash)) if bearer else None
        finally:
            self._tried_now[secret_hash] -= 1
            self._tried_now += Counter()  # drops what nobody tries any more
        if person is None:
            self._recent.drop(secret_hash)
            structlog.get_logger().warning("a wrong token was sent", client=asked.client)
            raise _stranger()
        if charged:
            self._pace.give_back(client)
        self._recent.add(secret_hash)
        return person

    def _refuse(
        self, scope: Scope, headers: Mapping[str, str], asked: Origin, error: ProblemError
    ) -> Response:
        if error.problem.status != 401:
            page = wants_page(scope, headers)
            return self._page(Request(scope), error) if page else answer(error)
        said: Response
        if "hx-request" in headers:
            error.headers = {"HX-Redirect": SIGN_IN}
            said = answer(error)
        elif wants_page(scope, headers) and "authorization" not in headers:
            said = RedirectResponse(f"{SIGN_IN}{_next(scope)}", status_code=303)
        else:
            said = answer(error)
        if cookie_name(asked.scheme) in headers.get("cookie", ""):
            drop_cookie(said, asked.scheme)
        return said

    async def _look(self, look: Callable[[], Found]) -> Found:
        return await anyio.to_thread.run_sync(look, limiter=self._looking)

    async def _pass(self, person: Person, scope: Scope, receive: Receive, send: Send) -> None:
        async def watch(message: Message) -> None:
            # before the answer: whoever has it can rely on the log
            if message.get("status") == 403 and scope["method"] not in SAFE_METHODS:
                await self._note_refused(person, scope)
            await send(message)

        await self._app(scope, receive, watch)

    async def _note_refused(self, person: Person, scope: Scope) -> None:
        note = partial(self._admission.note_refused, person, scope["method"], scope["path"])
        try:
            await self._look(note)
        except SQLAlchemyError:
            structlog.get_logger().warning("a refused action could not be written down")


_LOCAL_ONLY = (
    "There is no token yet, so only this machine itself is served, under a name of its own and by no proxy. "
    "Create one with `instep token create NAME --role admin`."
)


class _Recent:
    """Hashes of the secrets that were right lately, so many and no more."""

    def __init__(self) -> None:
        self._hashes: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, secret_hash: str) -> bool:
        return secret_hash in self._hashes

    def add(self, secret_hash: str) -> None:
        self._hashes[secret_hash] = None
        self._hashes.move_to_end(secret_hash)
        if len(self._hashes) > _MOST_RECENT:
            self._hashes.popitem(last=False)

    def drop(self, secret_hash: str) -> None:
        self._hashes.pop(secret_hash, None)


def _check_head(scope: Scope, headers: Mapping[str, str]) -> None:
    """Raises ProblemError on what the HTTP library takes when it comes in one piece, and on what no database takes."""
    if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_ADDRESS_BYTES:
        raise by_status(414, f"An address may have {LONGEST_ADDRESS_BYTES} bytes at most.")
    if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
        nul = Wrong(where="address", what="NUL characters are not allowed.")
        raise ProblemError(422, "invalid", "Parts of the request are wrong.", wrong=(nul,))
    if sum(len(name) + len(value) for name, value in scope["headers"]) > LARGEST_HEAD_BYTES:
        raise by_status(431, f"The headers may have {LARGEST_HEAD_BYTES} bytes at most.")
    if "content-length" in headers and "transfer-encoding" in headers:
        # two servers in a row could disagree on where the request ends
        raise by_status(400, "A request has a Content-Length or a Transfer-Encoding, not both.")


def joined(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by name in lower case; what came in several is joined, as RFC 9110 and RFC 9113 say."""
    found: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        separator = "; " if name == "cookie" else ", "
        found[name] = f"{found[name]}{separator}{value}" if name in found else value
    return found


def charge(pace: Pace, client: str) -> None:
    """Charge a client for trying a secret; raises ProblemError when it tries too often."""
    wait_s = pace.charge(client, time.monotonic())
    if wait_s > 0:
        said = "Too many tokens were wrong; wait, then try again."
        raise by_status(429, said, {"Retry-After": str(int(wait_s) + 1)})


def wants_page(scope: Scope, headers: Mapping[str, str]) -> bool:
    """Whether a person in a browser waits for the answer, and no program."""
    return "text/html" in headers.get("accept", "") and not scope["path"].startswith("/api/")


def _stranger() -> ProblemError:
    # one answer to no token and to a wrong, an expired and a revoked one: it tells nobody which it was
    said = "A token is needed, and one that is in force: sign in, or send it as Authorization: Bearer."
    return by_status(401, said, {"WWW-Authenticate": 'Bearer realm="instep"'})


def _next(scope: Scope) -> str:
    path, query = scope["path"], scope["query_string"].decode("latin-1")
    if scope["method"] not in SAFE_METHODS or path == "/":
        return ""
    return "?next=" + quote(f"{path}?{query}" if query else path, safe="")
