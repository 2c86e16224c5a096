"""Refuses what a route does not know: a parameter that is ignored would have the answer mean something else."""

from collections.abc import Iterable
from typing import Annotated

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Cookie, Header, Path
from fastapi.routing import APIRoute
from pydantic import StringConstraints

from schemas.config.problem import did_you_mean
from sink.desk.wire import Wrong
from sink.web.problem import ProblemError

# a database has no place for NUL
Word = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=r"^[^\x00]*$")]


def only_known_parameters(request: Request) -> None:
    """Refuse query parameters that the route does not have, and NUL anywhere in the address."""
    known = known_parameters(request.scope["route"])
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


def known_parameters(route: APIRoute) -> set[str]:
    """Return the names of a route's query parameters."""
    # asked of the route, as the first who needs the whole document would wait a second for it
    parameters = get_flat_params(route.dependant)
    return {each.alias for each in parameters if not isinstance(each.field_info, Cookie | Header | Path)}
