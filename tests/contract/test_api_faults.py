"""Requests that are wrong in some way, over HTTP: a sensible problem, and nothing happens; on PostgreSQL and on SQLite."""

import socket
from collections.abc import Iterator
from itertools import product
from typing import Any

import httpx2
import pytest

from sink.store.store import Store
from tests.contract.api import Api, api, problem, sink
from tests.contract.stored import entries, told
from tests.integration.sink_running import SinkSetup
from tests.sink_events import failed
from tests.web_serving import Served, served

__all__ = ["api", "sink"]

SQL = (
    "' OR '1'='1",
    "1; DROP TABLE instep_entry; --",
    "%27%20UNION%20SELECT%201",
    '"; DELETE FROM instep_entry',
)


def operations(sink: Served) -> Iterator[tuple[str, str, dict[str, Any]]]:
    document = httpx2.get(f"{sink.url}/api/openapi.json", timeout=30).json()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_unknown_parameter_is_refused_with_the_one_that_was_meant(api: Api) -> None:
    (wrong,) = problem(api.get("/entries", mappin="customers"))["wrong"]
    assert wrong["where"] == "mappin"
    assert 'mean "mapping"' in wrong["what"]


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "99999999999999999999", "ten", "1.5", ""])
def test_limit_that_makes_no_sense_is_refused(api: Api, limit: str) -> None:
    for path in ("/entries", "/groups", "/replays", "/quarantine", "/audit"):
        assert problem(api.get(path, limit=limit))["wrong"][0]["where"] == "limit"


def test_cursor_that_no_page_gave_is_refused(api: Api) -> None:
    for path in ("/entries", "/groups", "/replays", "/quarantine"):
        for after in ("x", "-1-a", "9" * 30 + "-a", "1-", "\u0661-a"):
            assert problem(api.get(path, after=after))["status"] == 422


def test_filter_with_an_unknown_word_is_refused_with_a_hint(api: Api) -> None:
    assert 'mean "open"' in problem(api.get("/entries", state="opne"))["detail"]
    assert "7d" in problem(api.get("/entries", older_than="soon"))["detail"]


def test_unknown_field_of_a_body_is_refused(api: Api) -> None:
    (wrong,) = problem(api.post("/entries/actions", {"action": "resolve", "ids": ["0" * 16], "idz": []}))[
        "wrong"
    ]
    assert wrong["where"] == "idz"


def test_body_that_is_no_json_is_refused_without_showing_it(api: Api) -> None:
    for kind, status in (("application/json", 422), ("text/plain", 422), ("application/xml", 422)):
        response = api.client.post("/entries/actions", content=b"<secret>", headers={"content-type": kind})
        assert problem(response)["status"] == status
        assert "secret" not in response.text


def test_unknown_address_and_method_are_told_as_problems(api: Api) -> None:
    assert problem(api.get("/nothing"))["status"] == 404
    refused = api.client.delete("/entries")
    assert problem(refused)["status"] == 405


def test_large_body_is_refused_before_it_is_sent(sink: Served) -> None:
    host, port = sink.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"POST /api/v1/entries/actions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: 10485760\r\n\r\n"
        )
        assert b"413" in connection.recv(4096).split(b"\r\n")[0]


def test_large_body_of_unknown_length_is_refused(api: Api) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(160):
            yield b"x" * 65536

    try:
        response = api.client.post("/entries/actions", content=chunks())
    except httpx2.TransportError:  # it was refused while it was still sent
        return
    assert response.status_code == 413


def test_sql_in_any_parameter_finds_nothing_and_does_nothing(sink: Served, api: Api, store: Store) -> None:
    told(store, failed())
    for (path, method, operation), sql in product(operations(sink), SQL):
        named = {each["name"]: sql for each in operation.get("parameters", ()) if each["in"] == "query"}
        address = path.replace("/api/v1", "")
        while "{" in address:
            start, _, rest = address.partition("{")
            address = start + httpx2.URL("", params={"x": sql}).query.decode()[2:] + rest.partition("}")[2]
        for name in named or {"": ""}:
            given = {name: named[name]} if name else {}
            response = api.client.request(method, address, params=given, json=None if method == "get" else {})
            assert response.status_code < 500, (path, name, response.text)
    assert [entry.state for entry in entries(store)] == ["open"]


def test_nul_in_any_place_is_refused(api: Api, store: Store) -> None:
    told(store, failed())
    assert api.get("/entries", record="a\x00b").status_code == 422
    assert api.get("/entries/a%00b").status_code == 422
    assert api.post("/entries/selection", {"filter": {"text": "a\x00b"}}).status_code == 422
    body = {"action": "resolve", "ids": [entries(store)[0].id], "reason": "a\x00b"}
    assert api.post("/entries/actions", body).status_code == 422
    assert [entry.state for entry in entries(store)] == ["open"]


def test_bug_of_ours_is_500_and_tells_nothing_of_itself(sink: Served, api: Api) -> None:
    sink.pulse.obstacles = None  # type: ignore[assignment]  # what no code of ours would do
    told_ = problem(api.get("/status"))
    assert told_["status"] == 500
    assert "Traceback" not in told_["detail"]
    assert "NoneType" not in told_["detail"]


def test_store_that_is_away_is_503_and_health_answers_all_the_same(tmp_path: Any) -> None:
    url = "postgresql://nobody@127.0.0.1:9/nothing"
    config = SinkSetup(tmp_path, "127.0.0.1:9", "errors", "g.replay", url, {}).config()
    with served(config, url) as running, httpx2.Client(base_url=running.url, timeout=30) as client:
        assert client.get("/livez").status_code == 200
        response = client.get("/api/v1/entries")
        assert problem(response)["status"] == 503
        assert int(response.headers["retry-after"]) > 0


def test_every_operation_says_what_it_does(sink: Served) -> None:
    for path, method, operation in operations(sink):
        assert operation.get("summary"), (method, path)
        assert operation["responses"].keys() >= {"401", "403"}, (method, path)
