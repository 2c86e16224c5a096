"""The gate with many requests at once, without a server."""

import threading
from typing import Any

import anyio
import pytest
from starlette.types import Message, Receive, Scope, Send

from sink.roles import Role
from sink.web.access.gate import Gate
from sink.web.access.pace import Allowance, Pace
from sink.web.access.person import Person
from sink.web.problem import answer

AT_ONCE = 12


class Admits:
    """Knows one person, and says so when it is allowed to."""

    def __init__(self, person: Person | None) -> None:
        self.person, self.may_answer = person, threading.Event()

    def by_token(self, _secret_hash: str) -> Person | None:
        assert self.may_answer.wait(30)
        return self.person


async def ask_at_once(gate: Gate, admits: Admits, secrets: list[str]) -> list[int]:
    """Send requests that are all undecided together; returns the statuses."""
    statuses: list[int] = []

    async def ask(secret: str) -> None:
        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        headers = [(b"host", b"x"), (b"authorization", f"Bearer {secret}".encode())]
        await gate(scope_with(headers), receive, send)

    async with anyio.create_task_group() as group:
        for each in secrets:
            group.start_soon(ask, each)
        await anyio.wait_all_tasks_blocked()
        admits.may_answer.set()
    return statuses


def scope_with(headers: list[tuple[bytes, bytes]]) -> Scope:
    path = "/api/v1/entries"
    return {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "client": ("192.0.2.1", 1),
        "http_version": "1.1",
    }


def gate_before(admits: Any) -> Gate:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    pace = Pace(Allowance(burst=2, every_s=6.0))
    return Gate(app, admits, pace, (), lambda _request, error: answer(error), open_metrics=True)


@pytest.mark.parametrize(("known", "status"), [(True, 200), (False, 401)])
def test_one_secret_that_is_tried_many_times_at_once_is_one_try(known: bool, status: int) -> None:
    admits = Admits(Person("viewer-1", Role.VIEWER, "api", None) if known else None)
    statuses = anyio.run(ask_at_once, gate_before(admits), admits, ["one"] * AT_ONCE)
    assert statuses == [status] * AT_ONCE


def test_many_secrets_at_once_are_many_tries() -> None:
    admits = Admits(None)
    secrets = [str(number) for number in range(AT_ONCE)]
    statuses = anyio.run(ask_at_once, gate_before(admits), admits, secrets)
    assert sorted(statuses) == [401] * 2 + [429] * (AT_ONCE - 2)
