"""What every route works with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry

from schemas.config.model import Config
from sink.health import Pulse
from sink.store.store import Store
from sink.web.recent import Recent


@dataclass(frozen=True, slots=True)
class Web:
    """What the routes work with. The store may not be reachable yet: it connects at first use.

    `clock_us` tells the time in microseconds since 1970.
    """

    config: Config
    store: Store
    pulse: Pulse
    registry: CollectorRegistry
    clock_us: Callable[[], int]
    recent: Recent


def current_web(request: Request) -> Web:
    """Return what the application was made with."""
    return cast(Web, request.app.state.web)


WebDep = Annotated[Web, Depends(current_web)]
