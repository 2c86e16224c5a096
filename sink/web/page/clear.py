"""The page *Clear*: Business Central's two buttons, what they would delete, and the archives that bring it back."""

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.datastructures import UploadFile

from sink import actions
from sink.actions import Actor, clearable
from sink.archive import ArchiveError
from sink.archive_folder import ARCHIVE_NAME, archive_folder, find_archive, list_archives, new_archive
from sink.desk.selection import WrongUse
from sink.states import CLOSED, RELEVANT
from sink.store.entries import Filter, count_entries
from sink.store.tally import read_overview
from sink.web.access.need import Admin
from sink.web.access.person import Person
from sink.web.page.flash import Flash, go
from sink.web.page.rendering import Page, PageDep
from sink.web.page.words import entries
from sink.web.problem import not_found
from sink.web.web import Web

router = APIRouter()

UPLOAD = "/clear/upload"
"""Where archives are sent to be restored: a body of any size, kept in a file while it is read."""

_ARCHIVES_SHOWN = 50
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)


@router.get("/clear")
def clear_page(person: Admin, page: PageDep) -> Response:
    """The two buttons, and the archives."""
    now_us = page.web.clock_us()
    with page.web.store.reading() as connection:
        counts = read_overview(connection, now_us)
    return page.show(
        person,
        "clear.html",
        closed=sum(counts.states.get(state, 0) for state in CLOSED),
        relevant=counts.relevant,
        folder=archive_folder(page.web.config).resolve(),
        archives=list_archives(page.web.config)[:_ARCHIVES_SHOWN],
        retention=page.web.config.sink.retention.closed.total_seconds(),
    )


@router.get("/clear/preview")
def preview(
    person: Admin,
    page: PageDep,
    days: Annotated[int, Query(ge=0, le=36500)] = 0,
    include_open: Annotated[str, Query(max_length=10)] = "",
) -> Response:
    """What would be deleted, by state, category and newest date; nothing is done yet."""
    now_us = page.web.clock_us()
    wanted = _wanted(days, now_us, now_us, include_open=bool(include_open))
    with page.web.store.reading() as connection:
        tallies = count_entries(connection, wanted)
    relevant = [tally for tally in tallies if tally.state in RELEVANT]
    closed = [tally for tally in tallies if tally.state in CLOSED]
    return page.show(
        person,
        "clear_preview.html",
        days=days,
        include_open=bool(include_open),
        relevant=relevant,
        closed=closed,
        still=sum(tally.entries for tally in relevant),
        newest_us=max((tally.last_failed_us for tally in tallies), default=0),
        total=sum(tally.entries for tally in tallies),
        folder=archive_folder(page.web.config).resolve(),
    )


@router.post("/clear/do")
def clear_now(
    person: Admin,
    page: PageDep,
    now: Annotated[int, Form(ge=0, le=10**18)],
    newest: Annotated[int, Form(ge=0, le=10**18)],
    days: Annotated[int, Form(ge=0, le=36500)] = 0,
    include_open: Annotated[str, Form(max_length=10)] = "",
    understood: Annotated[str, Form(max_length=10)] = "",
) -> Response:
    """Archive what was shown, then delete it; entries that failed after the newest of these stay."""
    if include_open and not understood:
        return go(
            "/clear", Flash("Nothing was deleted: tick that you have seen what is still relevant.", "refused")
        )
    wanted = _wanted(days, now, newest, include_open=bool(include_open))
    file = new_archive(page.web.config)
    try:
        done = actions.clear(page.web.store, wanted, file, Actor(person.name, person.via))
    except ArchiveError as error:
        return go("/clear", Flash(f"{error}.", "refused"))
    left = f" {entries(done.changed)} changed meanwhile and were left alone." if done.changed else ""
    if done.unsent:
        left += (
            f" {entries(done.unsent)} left alone: the worker has not been told yet; try again in a moment."
        )
    if done.archive is None:
        return go("/clear", Flash(f"Nothing was deleted.{left}", "refused"))
    said = f"{entries(done.deleted)} deleted, and kept in {file.name}.{left}"
    return go("/clear", Flash(said, "done", f"/clear/archives/{file.name}", "Download the archive"))


@router.get("/clear/archives/{name}")
def download(_person: Admin, page: PageDep, name: str) -> Response:
    """An archive as a file."""
    return FileResponse(_archive(page.web, name), media_type="application/avro", filename=name)


@router.post("/clear/archives/{name}/restore")
def restore_kept(person: Admin, page: PageDep, name: str) -> Response:
    """Bring back the entries of an archive in the folder."""
    return _restore(page, person, _archive(page.web, name))


async def uploaded(request: Request) -> UploadFile:
    """Return the file that was sent; raises WrongUse when none was."""
    file = (await request.form()).get("archive")
    if not isinstance(file, UploadFile) or not file.filename:
        raise WrongUse("choose an archive file first")
    return file


@router.post(UPLOAD)
def restore_sent(person: Admin, page: PageDep, sent: Annotated[UploadFile, Depends(uploaded)]) -> Response:
    """Bring back the entries of an archive that was sent."""
    name = Path(sent.filename or "").name
    with tempfile.TemporaryDirectory(prefix="instep-") as folder:
        path = Path(folder) / (name if ARCHIVE_NAME.fullmatch(name) else "sent.avro")
        with path.open("wb") as file:
            shutil.copyfileobj(sent.file, file)
        sent.file.close()
        return _restore(page, person, path)


def _restore(page: Page, person: Person, path: Path) -> Response:
    try:
        done = actions.restore(page.web.store, path, Actor(person.name, person.via))
    except ArchiveError as error:
        # the name alone: where a file was put for a moment helps nobody
        return go("/clear", Flash(f"{error}.".replace(str(path), path.name), "refused"))
    existing = (
        f" {entries(done.existing)} stood in the list already and were left alone." if done.existing else ""
    )
    return go(
        "/clear", Flash(f"{entries(done.restored)} restored.{existing}", "done", "/entries", "All entries")
    )


def _wanted(days: int, now_us: int, newest_us: int, *, include_open: bool) -> Filter:
    """Return what is meant: over for so many days, 0: all; never what failed after the newest that was shown."""
    before_us = now_us - days * _DAY // _MICROSECOND if days else None
    return clearable(
        Filter(over_before_us=before_us, failed_before_us=newest_us + 1), include_open=include_open
    )


def _archive(web: Web, name: str) -> Path:
    file = find_archive(web.config, name)
    if file is None:
        raise not_found("archive")
    return file
