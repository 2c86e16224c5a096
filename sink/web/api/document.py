"""The OpenAPI document of the API: what FastAPI makes of the routes, with roles, problems and the token told in it."""

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from inspect import signature
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute

from sink.desk.wire import Problem
from sink.roles import Role
from sink.web.access.need import Admin, Operator, Viewer
from sink.web.api import PREFIX
from sink.web.api.routes import ROUTERS
from sink.web.api.strict import only_known_parameters
from sink.web.problem import MEDIA_TYPE

ADDRESS = "/api/openapi.json"
_ROLES = ((Viewer, Role.VIEWER), (Operator, Role.OPERATOR), (Admin, Role.ADMIN))
_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token of `instep token create`. None is needed on the sink's own machine while there is no token.",
}
_PROBLEM = {
    "description": "What else may be wrong with any request: 400, 408, 413, 414, 429, 500.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


class ApiApp(FastAPI):
    """An application with the API and its document."""

    def __init__(self) -> None:
        super().__init__(
            title="Instep",
            version=version("instep"),
            summary="What is wrong now between your applications, and what can be done about it.",
            openapi_url=ADDRESS,
            docs_url=None,
            redoc_url=None,
            redirect_slashes=False,
            generate_unique_id_function=_operation_id,
        )
        for router in ROUTERS:
            self.include_router(router, prefix=PREFIX, dependencies=[Depends(only_known_parameters)])

    def openapi(self) -> dict[str, Any]:
        """Return the document."""
        fresh = self.openapi_schema is None
        document = super().openapi()
        if fresh:
            _complete(document)
        return document


def _operation_id(route: APIRoute) -> str:
    return f"{route.tags[0]}_{route.name}" if route.tags else route.name


def _complete(document: dict[str, Any]) -> None:
    components = document.setdefault("components", {})
    components["securitySchemes"] = {"token": _TOKEN}
    template = "#/components/schemas/{model}"
    components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema(ref_template=template)
    components["schemas"] |= components["schemas"]["Problem"].pop("$defs", {})
    document["security"] = [{"token": []}]
    for address, method, role in _roles():
        operation = document["paths"][address][method]
        said = operation["description"]
        operation["summary"] = said.split(". ")[0].split("; ")[0].rstrip(".")
        operation["description"] = f"{said} For the role {role}."
        operation["x-role"] = str(role)
        operation["responses"]["default"] = _PROBLEM


def _roles() -> Iterator[tuple[str, str, Role]]:
    for router in ROUTERS:
        for route in router.routes:
            if not isinstance(route, APIRoute):
                continue
            asked = [each.annotation for each in signature(route.endpoint).parameters.values()]
            role = next(role for needed, role in _ROLES if needed in asked)
            for method in sorted(route.methods or ()):
                yield PREFIX + route.path, method.lower(), role


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield address, method and operation of everything in a document."""
    for address, methods in document["paths"].items():
        for method, operation in methods.items():
            yield address, method.upper(), operation
