"""What nobody can do to the sink's port: be too large, too slow, or too many. The served application itself."""

import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx2
import pytest

from sink.web.access import connection
from tests.services.certificates import write_certificates
from tests.web import Served, served, sqlite_url

LIST = "/api/v1/entries"
MANY = 1000


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Served]:
    with served(sqlite_url(tmp_path)) as each:
        yield each


@contextmanager
def plain(sink: Served) -> Iterator[socket.socket]:
    """A bare connection."""
    with socket.create_connection(("127.0.0.1", sink.port), timeout=30) as each:
        yield each


def rest(each: socket.socket) -> bytes:
    """All that comes until the connection ends; the test fails when it does not."""
    found = b""
    try:
        while chunk := each.recv(65536):
            found += chunk
    except ConnectionResetError:
        pass
    return found


def test_a_body_that_is_too_large_is_refused(sink: Served) -> None:
    secret = sink.token("operator")
    answer = sink.client(secret).post(f"{LIST}/actions", content=b"x" * (10 << 20))
    assert answer.status_code == 413


def test_a_body_of_unknown_length_that_is_too_large_is_refused(sink: Served) -> None:
    secret = sink.token("operator")
    answer = sink.client(secret).post(f"{LIST}/actions", content=(b"x" * 65536 for _ in range(160)))
    assert answer.status_code == 413


def test_a_large_body_of_a_stranger_is_not_even_read(sink: Served) -> None:
    sink.token("viewer")
    with plain(sink) as each:
        each.sendall(
            b"POST /clear/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 1000
        )
        assert each.recv(65536).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /livez?" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"X-Many: a\r\n" * 10_000 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200,
        b"GET http:\x00//x HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"POST /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_a_head_that_is_too_large_or_wrong_ends_the_connection(sink: Served, head: bytes) -> None:
    with plain(sink) as each:
        with suppress(BrokenPipeError, ConnectionResetError):
            each.sendall(head)
        assert re.match(rb"HTTP/1.1 4\d\d |$", rest(each))
    assert sink.client().get("/livez").status_code == 200


@pytest.mark.parametrize("begin", [b"", b"GET /livez HT", b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_client_that_never_finishes_its_head_is_cut_off(
    sink: Served, begin: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_WITHIN_S", 0.5)
    with plain(sink) as each:
        each.sendall(begin)
        assert rest(each) == b""


def test_a_client_that_goes_on_byte_by_byte_is_cut_off_all_the_same(
    sink: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_WITHIN_S", 0.5)
    stop = threading.Event()
    with plain(sink) as each:
        each.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ")

        def dribble() -> None:
            while not stop.wait(0.05):
                try:
                    each.sendall(b"a")
                except OSError:
                    return

        dribbling = threading.Thread(target=dribble)
        dribbling.start()
        assert rest(each) == b""
        stop.set()
        dribbling.join()


def test_a_client_that_never_finishes_its_body_is_cut_off(
    sink: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BODY_WITHIN_S", 0.5)
    secret = sink.token("operator")
    with plain(sink) as each:
        head = f"POST {LIST}/actions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secret}\r\nContent-Length: 100\r\n\r\n"
        each.sendall(head.encode() + b"{")
        assert not rest(each).startswith(b"HTTP/1.1 2")


def test_a_client_that_does_not_take_its_answer_is_cut_off(
    sink: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "TAKEN_WITHIN_S", 0.5)
    waiting = threading.Event()
    with socket.socket() as each:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        each.settimeout(30)
        each.connect(("127.0.0.1", sink.port))
        each.sendall(b"GET /api/openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 1000)

        def lost() -> bool:
            # nothing is ever read here
            try:
                each.sendall(b"G")
            except (ConnectionResetError, BrokenPipeError):
                return True
            return False

        assert any(lost() or waiting.wait(0.1) for _ in range(200))
    assert sink.client().get("/livez").status_code == 200


def test_of_too_many_connections_those_go_that_are_idle_the_longest(
    sink: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_WITHIN_S", 60.0)
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 5)
    with ExitStack() as stack:
        silent = [stack.enter_context(plain(sink)) for _ in range(20)]
        assert [rest(each) for each in silent[:15]] == [b""] * 15
        silent[-1].sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert silent[-1].recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_thousand_silent_connections_keep_nobody_away(sink: Served) -> None:
    secret = sink.token("viewer")
    with ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(plain(sink))
        for path in ("/livez", LIST):
            began = time.monotonic()
            assert sink.client(secret).get(path).status_code == 200
            assert time.monotonic() - began < 5


def test_a_thousand_connections_that_begin_to_ask_keep_nobody_away(sink: Served) -> None:
    secret = sink.token("viewer")
    with ExitStack() as stack:
        for _ in range(MANY):
            each = stack.enter_context(plain(sink))
            each.sendall(b"GET /livez HTTP/1.1\r\nHost: ")
        assert sink.client().get("/livez").status_code == 200
        assert sink.client(secret).get(LIST).status_code == 200


def test_a_thousand_silent_connections_keep_nobody_away_under_tls(tmp_path: Path) -> None:
    authority, both = write_certificates(tmp_path)
    tls = {"sink.tls.certificate": str(both), "sink.tls.key": str(both)}
    with served(sqlite_url(tmp_path), tls) as sink, ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(plain(sink))
        trust = ssl.create_default_context(cafile=authority)
        assert sink.client(verify=trust).get("/livez").status_code == 200


def test_many_who_ask_at_once_are_all_answered_while_health_is_too(sink: Served) -> None:
    secret = sink.token("viewer")
    statuses: list[int] = []

    def ask() -> None:
        with httpx2.Client(base_url=sink.url, timeout=60, trust_env=False) as client:
            headers = {"Authorization": f"Bearer {secret}"}
            statuses.extend(client.get(LIST, headers=headers).status_code for _ in range(5))

    asking = [threading.Thread(target=ask) for _ in range(50)]
    for each in asking:
        each.start()
    began = time.monotonic()
    assert sink.client().get("/livez").status_code == 200
    assert time.monotonic() - began < 5
    for each in asking:
        each.join()
    assert len(statuses) == 250
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) > 200


def test_a_page_that_takes_long_keeps_health_from_nobody(tmp_path: Path) -> None:
    from fastapi import Request

    from sink.web.access.need import Viewer

    go_on = threading.Event()
    with served(sqlite_url(tmp_path)) as sink:

        def slow(request: Request, person: Viewer) -> str:
            go_on.wait(30)
            return "done"

        sink.app.get("/api/v1/slow")(slow)
        answers: list[int] = []
        asking = [
            threading.Thread(
                target=lambda: answers.append(httpx2.get(f"{sink.url}/api/v1/slow", timeout=60).status_code)
            )
            for _ in range(40)
        ]
        for each in asking:
            each.start()
        statuses = [sink.client().get("/livez").status_code for _ in range(5)]
        busy = sink.client().get(LIST)
        go_on.set()
        for each in asking:
            each.join()
    assert statuses == [200] * 5
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "5")
    assert sorted(set(answers)) == [200, 503]
    assert answers.count(200) == 16
