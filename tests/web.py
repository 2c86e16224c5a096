"""The sink's port as the tests need it: the real application, served on loopback over a store of its own."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from schemas.config.model import Config
from sink.actions import Actor, now_us
from sink.health import Pulse
from sink.roles import Role
from sink.store.migrate import upgrade
from sink.store.store import Store, open_store
from sink.token_actions import NewToken, create_token
from sink.web.access.tls import server_context
from sink.web.app import create_app
from sink.web.recent import Recent
from sink.web.serving import Serving, bind
from sink.web.web import Web
from tests.unit.config.written import parsed, written

TESTER = Actor("tester", "cli")


@dataclass(slots=True)
class Clock:
    """The sink's clock, which a test may put on."""

    ahead_us: int = 0

    def __call__(self) -> int:
        return now_us() + self.ahead_us

    def go_on(self, by: timedelta) -> None:
        self.ahead_us += by // timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Served:
    """A served application."""

    app: FastAPI
    store: Store
    clock: Clock
    port: int
    scheme: str = "http"
    clients: list[httpx2.Client] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def token(self, role: Role | str, name: str | None = None, expires: timedelta | None = None) -> str:
        """Make a token and return its secret."""
        made = create_token(self.store, name or f"{role}-1", Role(role), expires, TESTER)
        assert isinstance(made, NewToken)
        return made.secret

    def client(self, secret: str | None = None, **options: Any) -> httpx2.Client:
        """A client that follows no redirects, with a bearer token if there is one."""
        headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
        headers |= options.pop("headers", {})
        options = {"timeout": 30, "trust_env": False, **options}
        self.clients.append(httpx2.Client(base_url=self.url, headers=headers, **options))
        return self.clients[-1]

    def signed_in(self, role: Role | str) -> httpx2.Client:
        """A client as a browser has it that signed in with a new token."""
        secret = self.token(role, f"{role}-at-the-page")
        client = self.client(headers={"Accept": "text/html"})
        answer = client.post("/sign-in", data={"token": secret})
        assert answer.status_code == 303, answer.text
        return client


def web_config(store_url: str, changes: Mapping[str, Any] | None = None) -> Config:
    """A right configuration for a store, with parts of it changed."""
    return parsed(written({"sink.store.url": store_url, **(changes or {})}))


@contextmanager
def served(
    store_url: str,
    changes: Mapping[str, Any] | None = None,
    *,
    clock: Clock | None = None,
    prepared: bool = True,
) -> Iterator[Served]:
    """Serve the application over a store, which gets its tables if it is to be prepared."""
    config = web_config(store_url, changes)
    store = open_store(store_url)
    if prepared:
        upgrade(store.engine)
    clock = clock or Clock()
    app = create_app(Web(config, store, Pulse({}), CollectorRegistry(), clock, Recent(store, clock)))
    tls: ssl.SSLContext | None = None if config.sink.tls is None else server_context(config.sink.tls)
    listener = bind("127.0.0.1", 0)
    serving = Serving(app, listener, tls)
    serving.start()
    each = Served(app, store, clock, listener.getsockname()[1], "http" if tls is None else "https")
    try:
        yield each
    finally:
        for client in each.clients:
            client.close()
        serving.close()
        store.close()


def sqlite_url(folder: Path) -> str:
    """The URL of a store in a folder."""
    return f"sqlite:///{folder}/sink.db"
