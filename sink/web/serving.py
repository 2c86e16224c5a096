"""The port that the application is served at, from a thread."""

import gc
import resource
import socket
import ssl
import threading

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from sink.web.access.connection import LARGEST_HEAD_BYTES, PatientConnection

_STOP_WITHIN_S = 3
# beside the connections to the port, those to Kafka and the database and the files of both need some
_FILES = 4096
_COLLECT_AFTER_ANSWERS = 5


class Serving:
    """An application served from a thread, on a socket that was bound before; with TLS if there is a context."""

    def __init__(self, app: ASGIApp, listener: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        _allow_files(_FILES)
        config = uvicorn.Config(
            _Collecting(app),
            http=PatientConnection,
            ws="none",
            lifespan="off",
            # the gate decides whose forwarded headers are believed; uvicorn would believe all of this machine
            proxy_headers=False,
            server_header=False,
            h11_max_incomplete_event_size=LARGEST_HEAD_BYTES,
            ssl_context_factory=None if tls is None else lambda _config, _default: tls,
            log_config=None,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=_STOP_WITHIN_S,
        )
        self._server = uvicorn.Server(config)
        self._listener = listener
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="http", daemon=True
        )

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Let requests under way end, then stop."""
        self._server.should_exit = True
        self._thread.join(_STOP_WITHIN_S + 1)
        self._listener.close()


class _Collecting:
    """Looks for the reference cycles that answers leave, after every few of them.

    The process as a whole looks seldom, as ingest leaves none; an answer would then wait for the cycles of a hundred others.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._answers = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            self._answers += 1
            if self._answers % _COLLECT_AFTER_ANSWERS == 0:
                gc.collect(1)


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes any that is free. Raises OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    # Connections inherit it. asyncio sets it too, but not on sockets made this way; without it an answer waits 40 ms for its second half.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _allow_files(wanted: int) -> None:
    """Let this process open more files, as far as the machine lets it: silent connections must not take those of the sink."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    reachable = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < reachable:
        resource.setrlimit(resource.RLIMIT_NOFILE, (reachable, hard))
