"""/quarantine: messages of the error topic that could not be read."""

import base64
import binascii
from contextlib import ExitStack
from functools import cache
from typing import Annotated

import orjson
from fastapi import APIRouter, Path, Response
from pydantic import Field, TypeAdapter

from plumbing.codec import open_codec
from sink.actions import now_us
from sink.desk.selection import WrongUse
from sink.desk.wire import QuarantineView, ReimportedView, UnreadableView, moment
from sink.foreign.letter import letter_readers
from sink.reimport import reimport
from sink.store import audit
from sink.store.audit import DONE, Deed
from sink.store.quarantine import Place, Quarantined, read_message, read_quarantine
from sink.web.access.need import Admin, Viewer
from sink.web.api.acting import actor_of
from sink.web.api.once import IdempotencyKey, OnceRoute
from sink.web.api.selecting import After, Limit
from sink.web.problem import documented, not_found
from sink.web.web import WebDep

router = APIRouter(
    prefix="/quarantine", tags=["quarantine"], route_class=OnceRoute, responses=documented(401, 403, 422, 503)
)

MessageId = Annotated[int, Path(ge=1, lt=1 << 31)]


@router.get("")
def list_quarantine(_person: Viewer, web: WebDep, limit: Limit = 50, after: After = None) -> QuarantineView:
    """List the messages that could not be read, and why."""
    start = None if after is None else _read_cursor(after)
    with web.store.reading() as connection:
        page = read_quarantine(connection, after=start, limit=limit + 1)
    more = _cursor(page[limit - 1].place) if len(page) > limit else None
    return QuarantineView(messages=[_view(each) for each in page[:limit]], after=more)


@router.get(
    "/{message_id}/value",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}, **documented(404)},
)
def show_bytes(message_id: MessageId, _person: Admin, web: WebDep) -> Response:
    """Give the value of a message, byte for byte."""
    with web.store.reading() as connection:
        message = read_message(connection, message_id)
    if message is None:
        raise not_found("message in quarantine")
    headers = {"Content-Disposition": f'attachment; filename="quarantine-{message_id}.bin"'}
    return Response(message.value or b"", media_type="application/octet-stream", headers=headers)


@router.post("/reimport", responses=documented(409))
def reimport_all(person: Admin, web: WebDep, _key: IdempotencyKey = None) -> ReimportedView:
    """Read the messages in quarantine again, as after an upgrade; a sink does so for newer ones when it starts."""
    with ExitStack() as closing:
        letters = letter_readers(web.config.sink.foreign)
        done = reimport(web.store, open_codec(web.config.kafka, closing), letters, web.clock_us())
    actor = actor_of(person)
    with web.store.writing() as connection:
        deed = Deed(actor.name, actor.via, "reimport", "quarantine", done.imported, DONE)
        audit.record(connection, deed, now_us())
    return ReimportedView(imported=done.imported, kept=done.kept)


def _view(message: Quarantined) -> UnreadableView:
    return UnreadableView(
        id=message.id,
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        reason=message.reason,
        newer=message.newer,
        bytes=len(message.value or b""),
        quarantined_at=moment(message.quarantined_us),
    )


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode()


@cache
def _place() -> TypeAdapter[Place]:
    long = Annotated[int, Field(ge=0, lt=1 << 63)]
    topic = Annotated[str, Field(pattern=r"^[^\x00]*$")]
    return TypeAdapter(tuple[topic, Annotated[int, Field(ge=0, lt=1 << 31)], long, long])


def _read_cursor(text: str) -> Place:
    try:
        return _place().validate_json(base64.urlsafe_b64decode(text.encode()))
    except (ValueError, binascii.Error):
        raise WrongUse("after: this is not what the page before ended with") from None
