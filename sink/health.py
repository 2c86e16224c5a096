"""Whether the sink lives and is ready, and the one port that tells it, with the metrics."""

import socket
import threading
import time
from dataclasses import dataclass, field

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

_STOP_WITHIN_S = 3


@dataclass(slots=True)
class Pulse:
    """What the threads of the sink tell of themselves; each field is replaced as a whole.

    `limits_s` says how long each loop may be silent before it is taken for stuck. `obstacles` holds what keeps the sink
    from working, by part; empty: ready.
    """

    limits_s: dict[str, float]
    beats: dict[str, float] = field(default_factory=dict)
    obstacles: dict[str, str] = field(default_factory=dict)

    def beat(self, loop: str) -> None:
        """Tell that a loop goes round."""
        self.beats[loop] = time.monotonic()

    def hindered(self, part: str, why: str | None) -> None:
        """Tell what hinders a part of the sink, None when nothing does any more."""
        if why is None:
            self.obstacles.pop(part, None)
        else:
            self.obstacles[part] = why

    def stuck(self) -> list[str]:
        """Return the loops that were silent for too long."""
        now = time.monotonic()
        return [loop for loop, limit in self.limits_s.items() if now - self.beats.get(loop, now) > limit]


def create_app(pulse: Pulse, registry: CollectorRegistry) -> FastAPI:
    """Return the application with /metrics, /livez and /readyz."""
    app = FastAPI(title="Instep sink", openapi_url=None)

    @app.get("/metrics")
    def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), media_type=None, headers={"content-type": content_type})

    @app.get("/livez")
    def livez() -> JSONResponse:
        stuck = pulse.stuck()
        return JSONResponse({"alive": not stuck, "stuck": stuck}, status_code=503 if stuck else 200)

    @app.get("/readyz")
    def readyz() -> JSONResponse:
        obstacles = dict(pulse.obstacles)
        return JSONResponse(
            {"ready": not obstacles, "obstacles": obstacles}, status_code=503 if obstacles else 200
        )

    return app


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
