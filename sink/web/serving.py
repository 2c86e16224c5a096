"""The port that the application is served at, from a thread."""

import socket
import threading

import uvicorn
from fastapi import FastAPI

_STOP_WITHIN_S = 3


class Serving:
    """An application served from a thread, on a socket that was bound before."""

    def __init__(self, app: FastAPI, listener: socket.socket) -> None:
        config = uvicorn.Config(
            app,
            lifespan="off",
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


def bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes any that is free. Raises OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)
