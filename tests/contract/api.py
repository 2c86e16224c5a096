"""The HTTP API of a served application over a store, as a program speaks to it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from sink.actions import Actor
from sink.roles import Role
from sink.store.store import Store
from sink.token_actions import NewToken, create_token
from tests.integration.sink_running import SinkSetup
from tests.web_serving import Served, served

__all__ = ["api", "known_as", "sink"]


class Api:
    """A client of the API; without a token it is the owner of this machine."""

    def __init__(self, url: str, token: str | None = None) -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self.url = url
        self.client = httpx2.Client(base_url=f"{url}/api/v1", headers=headers, timeout=30)

    def get(self, path: str, **parameters: Any) -> httpx2.Response:
        """Ask for something."""
        return self.client.get(path, params=parameters)

    def post(
        self, path: str, content: object = None, *, match: str | None = None, key: str | None = None
    ) -> httpx2.Response:
        """Have something done."""
        chosen = {"If-Match": match, "Idempotency-Key": key}
        headers = {name: value for name, value in chosen.items() if value is not None}
        return self.client.post(path, json=content, headers=headers)


@pytest.fixture
def sink(store: Store, tmp_path: Path) -> Iterator[Served]:
    """The application; its archive folder is `archive` below the test's folder."""
    folder = tmp_path / "archive"
    folder.mkdir()
    url = store.engine.url.render_as_string(hide_password=False)
    config = SinkSetup(tmp_path, "127.0.0.1:9", "errors", "g.replay", url, {"archive": str(folder)}).config()
    with served(config, url) as running:
        yield running


@pytest.fixture
def api(sink: Served) -> Iterator[Api]:
    """The API, asked by the owner of this machine."""
    client = Api(sink.url)
    yield client
    client.client.close()


@pytest.fixture
def known_as(sink: Served) -> Iterator[Callable[[Role], Api]]:
    """The API, asked by somebody with a token of a role."""
    known: list[Api] = []

    def with_role(role: Role) -> Api:
        new = create_token(sink.store, f"{role}-token", role, None, Actor("tests", "cli"))
        assert isinstance(new, NewToken)
        known.append(Api(sink.url, new.secret))
        return known[-1]

    yield with_role
    for each in known:
        each.client.close()


def problem(response: httpx2.Response) -> dict[str, Any]:
    """The problem that a request was answered with."""
    assert response.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = response.json()
    assert told["status"] == response.status_code
    return told
