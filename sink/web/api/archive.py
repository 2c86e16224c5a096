"""/archive: clearing what is over, the files that hold what was cleared, and the way back."""

from pathlib import Path as File
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import AwareDatetime, Field

from sink.archive_folder import ARCHIVE_NAME, archive_folder, find_archive
from sink.archive_folder import list_archives as archives_in_folder
from sink.desk.wire import (
    ArchiveView,
    CheckedView,
    ClearDoneView,
    ClearPlanView,
    Form,
    RestoredView,
    TallyView,
    moment,
)
from sink.moment import to_us
from sink.web.access.need import Admin, Viewer
from sink.web.api.acting import desk_of
from sink.web.api.once import IdempotencyKey, OnceRoute
from sink.web.api.selecting import EntryFilter
from sink.web.problem import documented, not_found
from sink.web.web import Web, WebDep

router = APIRouter(
    prefix="/archive", tags=["archive"], route_class=OnceRoute, responses=documented(401, 403, 422, 503)
)

Name = Annotated[str, Path(description="The name of a file in the sink's archive folder.")]


class ClearForm(Form):
    """What is to be archived and deleted. `older_than` counts from when an entry was closed."""

    filter: EntryFilter = EntryFilter()
    include_open: bool = Field(default=False, description="Delete entries too that are still relevant.")
    archive: str | None = Field(
        default=None,
        pattern=f"^{ARCHIVE_NAME.pattern}$",
        description="The name of the file to write in the sink's folder; left out: a new one.",
    )
    newest_failed_at: AwareDatetime | None = Field(
        default=None,
        description="What last failed later is left alone: the latest `last_failed_at` of the plan that you looked at.",
    )


@router.get("")
def list_archives(_person: Admin, web: WebDep) -> list[ArchiveView]:
    """List the archive files in the sink's folder, the newest first."""
    return [
        ArchiveView(name=file.name, bytes=file.bytes, written_at=moment(file.written_us))
        for file in archives_in_folder(web.config)
    ]


@router.post("/plan")
def plan_clear(form: ClearForm, person: Viewer, web: WebDep) -> ClearPlanView:
    """Say what clearing would delete, without doing it: look at what is still relevant first."""
    selection = form.filter.selection()
    plan = desk_of(web, person).plan_clear(selection, _named(web, form), include_open=form.include_open)
    return ClearPlanView(
        archive=File(plan.archive).name, tallies=[TallyView.of(each) for each in plan.tallies]
    )


@router.post("/clear", responses=documented(409))
def clear(form: ClearForm, person: Admin, web: WebDep, _key: IdempotencyKey = None) -> ClearDoneView:
    """Write entries to an archive in the sink's folder, then delete them. One whose replay is under way is left alone."""
    desk = desk_of(web, person)
    selection = form.filter.selection()
    archive = _named(web, form) or desk.new_archive()
    newest_us = None if form.newest_failed_at is None else to_us(form.newest_failed_at)
    done = desk.clear(selection, archive, include_open=form.include_open, newest_us=newest_us)
    name = None if done.archive is None else File(done.archive).name
    return ClearDoneView(archive=name, deleted=done.deleted, changed=done.changed, unsent=done.unsent)


@router.get("/{name}", responses=documented(404, 409))
def check_archive(name: Name, person: Admin, web: WebDep) -> CheckedView:
    """Read an archive from its first to its last byte and say how many entries it holds; 409 when it is not whole."""
    return CheckedView(name=name, entries=desk_of(web, person).check_archive(str(_file(web, name))))


@router.post("/{name}/restore", responses=documented(404, 409))
def restore(name: Name, person: Admin, web: WebDep, _key: IdempotencyKey = None) -> RestoredView:
    """Bring the entries of an archive back, all or none. Those that stand in the list again are left alone."""
    done = desk_of(web, person).restore(str(_file(web, name)))
    return RestoredView(restored=done.restored, existing=done.existing)


def _named(web: Web, form: ClearForm) -> str | None:
    return None if form.archive is None else str(archive_folder(web.config) / form.archive)


def _file(web: Web, name: str) -> File:
    file = find_archive(web.config, name)
    if file is None:
        raise not_found("archive")
    return file
