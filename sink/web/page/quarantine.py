"""The page *Quarantine*: messages of the error topic that could not be read, with their bytes for admins."""

from contextlib import ExitStack
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from plumbing.codec import open_codec
from sink.foreign.letter import letter_readers
from sink.reimport import reimport
from sink.store import audit
from sink.store.audit import DONE, Deed
from sink.store.quarantine import Quarantined, read_message, read_quarantine
from sink.web.access.need import Admin, Viewer
from sink.web.page.bytes_shown import as_dump
from sink.web.page.flash import Flash, go
from sink.web.page.rendering import PageDep
from sink.web.page.words import count

router = APIRouter()

_PAGE = 50
_LARGEST_ID = 2**31 - 1


@router.get("/quarantine")
def quarantine(
    person: Viewer, page: PageDep, after: Annotated[int | None, Query(ge=0, le=_LARGEST_ID)] = None
) -> HTMLResponse:
    """What could not be read, in the order of the topics."""
    with page.web.store.reading() as connection:
        last = None if after is None else read_message(connection, after)
        place = None if last is None else last.place
        found = read_quarantine(connection, after=place, limit=_PAGE + 1)
    shown = found[:_PAGE]
    return page.show(
        person,
        "quarantine.html",
        messages=shown,
        first=None if after is None else "/quarantine",
        next=f"/quarantine?after={shown[-1].id}" if len(found) > _PAGE else None,
    )


@router.get("/quarantine/{message_id}")
def message(message_id: int, person: Admin, page: PageDep) -> HTMLResponse:
    """One message with its bytes."""
    found = None
    if 0 <= message_id <= _LARGEST_ID:
        with page.web.store.reading() as connection:
            found = read_message(connection, message_id)
    if found is None:
        raise HTTPException(404, "There is no such message in quarantine. It may have been read since.")
    return page.show(person, "quarantined.html", message=found, parts=_parts(found))


@router.post("/quarantine/reimport")
def import_again(person: Admin, page: PageDep) -> RedirectResponse:
    """Read all of them again."""
    web = page.web
    now_us = web.clock_us()
    with ExitStack() as closing:
        letters = letter_readers(web.config.sink.foreign)
        done = reimport(web.store, open_codec(web.config.kafka, closing), letters, now_us)
    with web.store.writing() as connection:
        audit.record(
            connection, Deed(person.name, person.via, "reimport", "quarantine", done.imported, DONE), now_us
        )
    if done.imported == 0:
        return go("/quarantine", Flash("None of them can be read by this version.", "refused"))
    rest = (
        f"; {count(done.kept, 'message')} cannot be read yet, or wait behind one that cannot"
        if done.kept
        else ""
    )
    return go("/quarantine", Flash(f"{count(done.imported, 'message')} read again, now in the list{rest}."))


def _parts(found: Quarantined) -> list[tuple[str, str, int]]:
    """Return name, dump and size of what the message is made of."""
    named = [("Key", found.key), ("Value", found.value)]
    named += [(f"Header {name}", value) for name, value in found.headers]
    return [(name, as_dump(part), len(part)) for name, part in named if part is not None]
