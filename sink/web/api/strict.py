"""Refuses what a route does not know: a parameter that is ignored would have the answer mean something else."""

from collections.abc import Iterable
from typing import Annotated

from fastapi import Request
from pydantic import StringConstraints

from schemas.config.problem import did_you_mean
from sink.desk.wire import Wrong
from sink.web.api import PREFIX
from sink.web.problem import ProblemError

# a database has no place for NUL
Word = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]


def only_known_parameters(request: Request) -> None:
    """Refuse query parameters that the route does not have, and NUL anywhere in the address."""
    known = _known(request)
    wrong = [
        Wrong(where=name, what=f"There is no such parameter.{did_you_mean(name, known)}")
        for name in dict.fromkeys(request.query_params)
        if name not in known
    ]
    values: Iterable[str] = (*request.query_params.values(), *map(str, request.path_params.values()))
    if any("\x00" in value for value in values):
        wrong.append(Wrong(where="address", what="NUL characters are not allowed."))
    if wrong:
        raise ProblemError(422, "invalid", "Parts of the request are wrong.", wrong=tuple(wrong))


def _known(request: Request) -> set[str]:
    operations = request.app.openapi()["paths"].get(PREFIX + request.scope["route"].path, {})
    parameters = operations.get(request.method.lower(), {}).get("parameters", ())
    return {each["name"] for each in parameters if each["in"] == "query"}
