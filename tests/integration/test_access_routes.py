"""Every route of the application, with every role and with none: a route that is forgotten fails here."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from fastapi.routing import iter_route_contexts

from sink.roles import Role
from sink.web.access.need import OPEN_ROUTES, Admin, Operator, Viewer
from tests.web import Served, served, sqlite_url

NEEDED: dict[Callable[..., Any], Role] = {
    get_args(annotated)[1].dependency: role
    for annotated, role in ((Viewer, Role.VIEWER), (Operator, Role.OPERATOR), (Admin, Role.ADMIN))
}
OPEN = OPEN_ROUTES | {"/metrics", "/static/{digest}/{name}"}
# routes that take what to look for in a body, and change nothing
ONLY_READS = {"/api/v1/entries/selection", "/api/v1/replays/verdicts", "/api/v1/archive/plan"}
ADMINS_ALONE = re.compile(
    r"clear|restore|upload|/archive(?!/plan)|token|audit|reimport|/quarantine/\{|/message$"
)
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW")


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("routes")
    with served(
        sqlite_url(folder), {"sink.archive": str(folder), "sink.metrics_access": "protected"}
    ) as each:
        yield each


@pytest.fixture(scope="module")
def secrets(sink: Served) -> dict[Role, str]:
    return {role: sink.token(role) for role in Role}


def routes(sink: Served) -> list[tuple[str, str, list[Role]]]:
    """Path, method and needed roles of every route."""
    return [
        (route.path or "?", method, [] if route.path == "/api/openapi.json" else roles(route.dependant))
        for route in iter_route_contexts(sink.app.routes)
        for method in sorted(route.methods or {"?"})
    ]


def roles(dependant: Any) -> list[Role]:
    found = [NEEDED[each.call] for each in dependant.dependencies if each.call in NEEDED]
    return found + [role for each in dependant.dependencies for role in roles(each)]


def filled(path: str) -> str:
    """A path with something for each parameter that exists nowhere."""
    return re.sub(r"\{[^}]+\}", "0", path)


def test_every_route_asks_for_one_role_or_is_open(sink: Served) -> None:
    table = routes(sink)
    assert len(table) > 40
    assert [route for route in table if route[0] not in OPEN and len(set(route[2])) != 1] == []
    assert [route for route in table if route[0] in OPEN and route[2]] == []


def test_only_operators_and_admins_change_anything(sink: Served) -> None:
    loose = [
        (path, method)
        for path, method, needed in routes(sink)
        if method not in ("GET", "HEAD")
        and needed == [Role.VIEWER]
        and path not in ONLY_READS | {"/sign-out"}
    ]
    assert loose == []


def test_what_is_for_admins_is_for_them_alone(sink: Served) -> None:
    loose = [
        (path, method)
        for path, method, needed in routes(sink)
        if ADMINS_ALONE.search(path) and needed != [Role.ADMIN]
    ]
    assert loose == []


def test_a_stranger_gets_through_no_route_by_no_method(sink: Served) -> None:
    sink.token("viewer", "guards")
    client, cookie = sink.client(), {"Cookie": "instep=wrong; __Host-instep=wrong"}
    wrong = []
    for path in sorted({path for path, _, _ in routes(sink)} - OPEN):
        for method in METHODS:
            status = client.request(method, filled(path), headers=cookie).status_code
            wrong += [(method, path, status)] if status != 401 else []
    assert wrong == []


def test_each_role_gets_through_exactly_the_routes_that_are_its_own(
    sink: Served, secrets: dict[Role, str]
) -> None:
    wrong = []
    for role in Role:
        client = sink.client(secrets[role])
        for path, method, needed in routes(sink):
            if path in OPEN or path == "/sign-out":
                continue
            status = client.request(method, filled(path)).status_code
            may = role.covers(needed[0])
            if (status in (401, 403)) is may or status >= 500:
                wrong.append((role, method, path, status))
    assert wrong == []


def test_no_form_of_the_page_is_taken_without_the_secret_of_the_session(sink: Served) -> None:
    client = sink.signed_in("admin")
    wrong = []
    for path, method, _ in routes(sink):
        if method not in ("GET", "HEAD") and path not in OPEN:
            for headers in ({}, {"X-CSRF-Token": "wrong"}):
                status = client.request(method, filled(path), headers=headers).status_code
                wrong += [(method, path, status)] if status != 403 else []
    assert wrong == []


def test_protected_metrics_need_a_token(sink: Served, secrets: dict[Role, str]) -> None:
    assert sink.client().get("/metrics").status_code == 401
    assert sink.client(secrets[Role.VIEWER]).get("/metrics").status_code == 200


@pytest.mark.parametrize(
    "path",
    ["/static/../api/v1/entries", "/static/%2e%2e/api/v1/entries", "//api/v1/entries", "/livez/../api/v1/entries",
     "/livez/", "/sign-in/../entries", "/api/v1/entries/", "/API/v1/entries", "/api/v1/%65ntries", "/livez%00",
     "/api/v1/entries%2f", "/static/%2e%2e%2f%2e%2e%2fapi/v1/entries", "/;/api/v1/entries"],
)  # fmt: skip
def test_no_trick_with_a_path_gets_a_stranger_through(
    sink: Served, secrets: dict[Role, str], path: str
) -> None:
    answer = sink.client().get(path)
    assert answer.status_code in (401, 404, 422), answer.text
    assert "entries" not in answer.text
