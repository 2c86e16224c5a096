"""Access for a whole application."""

from collections.abc import Callable

from fastapi import FastAPI, Request, Response
from starlette.middleware import Middleware

from sink.web.access.admission import Admission
from sink.web.access.forwarded import networks
from sink.web.access.gate import Gate
from sink.web.access.headers import SafeHeaders
from sink.web.access.pace import Pace
from sink.web.access.sign_in import Access, router
from sink.web.access.slots import Slots
from sink.web.problem import ProblemError
from sink.web.web import Web


def install_access(app: FastAPI, web: Web, page: Callable[[Request, ProblemError], Response]) -> None:
    """Put access in front of an application that is otherwise complete; `page` tells people why they are refused.

    From the outside in: headers on every answer, the gate, what the application has of its own (bodies of requests arrive there),
    slots for the work itself. Nothing can be put before the gate afterwards: Starlette refuses that.
    """
    access = Access(Admission(web.store, web.clock_us), Pace())
    app.state.access = access
    app.include_router(router)
    app.user_middleware.append(Middleware(Slots))
    gate = Gate(
        app.build_middleware_stack(),
        access.admission,
        access.pace,
        networks(web.config.sink.trusted_proxies),
        page,
        open_metrics=web.config.sink.metrics_access == "open",
    )
    app.middleware_stack = SafeHeaders(gate)
