"""Refuses what a route does not know: a parameter that is ignored would have the answer mean something else."""

from typing import Annotated, Any

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Cookie, Header, Path
from fastapi.routing import APIRoute
from pydantic import BeforeValidator, StringConstraints

from schemas.config.problem import did_you_mean
from schemas.config.scalar import wrong
from sink.desk.wire import NO_NUL, Wrong
from sink.web.problem import ProblemError

Word = Annotated[str, StringConstraints(min_length=1, max_length=2000, pattern=NO_NUL)]

_LONGEST_TEXT = 100_000
_LARGEST_INTEGER = 2**63 - 1


def _exact(value: Any) -> Any:
    """Return a value that arrives as it was sent, or say how it would."""
    match value:
        case str() if len(value) > _LONGEST_TEXT:
            raise wrong(f"A text has at most {_LONGEST_TEXT} characters.")
        case str() if any(0xD800 <= ord(each) <= 0xDFFF for each in value):
            raise wrong("This is no text: half of a surrogate pair stands alone.")
        case None | bool() | str():
            return value
        case int() if abs(value) <= _LARGEST_INTEGER:
            return value
        case int() | float():
            raise wrong('Send a number with a fraction, or of more than 64 bits, as text, such as "0.10".')
        case _:
            raise wrong("A value is text, a whole number, true, false or null.")


Value = Annotated[str | bool | int | None, BeforeValidator(_exact)]
"""What is written to a field: digits are not lost, as numbers with a fraction are sent as text."""


async def only_known_parameters(request: Request) -> None:
    """Refuse query parameters that the route does not have."""
    known = known_parameters(request.scope["route"])
    unknown = tuple(
        Wrong(where=name, what=f"There is no such parameter.{did_you_mean(name, known)}")
        for name in dict.fromkeys(request.query_params)
        if name not in known
    )
    if unknown:
        raise ProblemError(422, "invalid", "Parts of the request are wrong.", wrong=unknown)


def known_parameters(route: APIRoute) -> set[str]:
    """Return the names of a route's query parameters."""
    # asked of the route, as the first who needs the whole document would wait a second for it
    parameters = get_flat_params(route.dependant)
    return {each.alias for each in parameters if not isinstance(each.field_info, Cookie | Header | Path)}
