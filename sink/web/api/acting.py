"""What the routes of actions share: who acts, on which version of a thing, and what a refusal is."""

from typing import Annotated

from fastapi import Header

from sink.actions import Actor
from sink.desk.direct import DirectDesk
from sink.desk.wire import Wrong
from sink.states import Refusal
from sink.store.transitions import Refused
from sink.web.access.person import Person
from sink.web.problem import ProblemError, not_found
from sink.web.web import Web

IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="The ETag that the thing had when you looked at it; 412 when it has changed since.",
    ),
]


def actor_of(person: Person) -> Actor:
    """Return who acts."""
    return Actor(person.name, person.via)


def desk_of(web: Web, person: Person) -> DirectDesk:
    """Return the desk of a person at this sink."""
    return DirectDesk(web.store, actor_of(person), web.config, web.clock_us)


def etag(row_version: int) -> str:
    """Return the ETag of a row version."""
    return f'"{row_version}"'


def wanted_version(if_match: str | None) -> int | None:
    """Return the row version that a request asks for; None: any."""
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        wrong = Wrong(where="If-Match", what='It has to be an ETag as it was answered, such as "3".')
        raise ProblemError(422, "invalid", "Parts of the request are wrong.", wrong=(wrong,))
    return int(text)


def refused(step: Refused, *, had_version: bool) -> ProblemError:
    """Return a refused step as a problem: 404, 409, or 412 for a stale version."""
    if step.reason is Refusal.NOT_FOUND:
        return not_found("entry")
    word = step.reason.name.lower()
    if step.reason is Refusal.CHANGED and had_version:
        return ProblemError(
            412, "stale", "The entry changed since you looked at it; read it again.", refused=word
        )
    return ProblemError(409, "refused", f"This cannot be done: {step.reason}.", refused=word)
