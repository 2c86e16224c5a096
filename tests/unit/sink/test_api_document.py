"""The OpenAPI document of the API, and the page that is made from it."""

from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from sink.web.api import PREFIX
from sink.web.api.document import ApiApp, operations
from sink.web.api.page import api_page
from sink.web.api.routes import ROUTERS
from sink.web.api.strict import known_parameters

ROUTES = [
    pytest.param(route, method.lower(), id=f"{method} {route.path}")
    for router in ROUTERS
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in sorted(route.methods or ())
]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return ApiApp().openapi()


@pytest.mark.parametrize(("route", "method"), ROUTES)
def test_operation_says_what_it_does_and_for_whom(
    document: dict[str, Any], route: APIRoute, method: str
) -> None:
    operation = document["paths"][PREFIX + route.path][method]
    assert operation["summary"][0].isupper()
    assert operation["x-role"] in operation["description"]
    assert operation["responses"].keys() >= {"401", "403"}


@pytest.mark.parametrize(("route", "method"), ROUTES)
def test_operation_knows_the_parameters_that_are_told_of_it(
    document: dict[str, Any], route: APIRoute, method: str
) -> None:
    told = document["paths"][PREFIX + route.path][method].get("parameters", ())
    assert known_parameters(route) == {each["name"] for each in told if each["in"] == "query"}


def test_every_form_that_is_named_is_there(document: dict[str, Any]) -> None:
    def named(part: object) -> set[str]:
        match part:
            case {"$ref": str(reference)}:
                return {reference.rpartition("/")[2]}
            case dict():
                return {each for value in part.values() for each in named(value)}
            case list():
                return {each for value in part for each in named(value)}
            case _:
                return set()

    assert named(document) <= document["components"]["schemas"].keys()


def test_no_two_operations_have_one_id(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)


def test_page_is_up_to_date() -> None:
    page = Path(__file__).parents[3] / "docs" / "api.md"
    assert page.read_text(encoding="utf-8") == api_page(), "run `make docs`"
