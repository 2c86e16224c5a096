"""*Retry with corrected values*: a form over the target fields, then the difference, then the replay."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request, Response

from schemas.events import Decision
from sink.actions import Actor
from sink.desk.selection import WrongUse
from sink.job_actions import JobOrder, JobRefused, start_job
from sink.store.entries import Entry, read_original
from sink.web.access.need import Operator
from sink.web.page.corrections import Field, as_json, corrections, target_fields
from sink.web.page.finding import find_entry
from sink.web.page.flash import Flash, go
from sink.web.page.registry import read_with_registry
from sink.web.page.rendering import Page, PageDep

router = APIRouter()

_VALUE = "field."
_LONGEST_VALUE = 100_000


@dataclass(frozen=True, slots=True)
class Typed:
    """What was filled in, by target field, and the fields that shall have no value."""

    values: dict[str, str]
    empty: frozenset[str]


async def read_typed(request: Request) -> Typed:
    """Return the fields of the form; raises WrongUse for a value that no form of ours lets through."""
    form = await request.form()
    values = {
        name.removeprefix(_VALUE): value
        for name, value in form.items()
        if name.startswith(_VALUE) and isinstance(value, str)
    }
    if any(len(value) > _LONGEST_VALUE for value in values.values()):
        raise WrongUse(f"a corrected value has at most {_LONGEST_VALUE} characters")
    return Typed(values, frozenset(value for value in form.getlist("empty") if isinstance(value, str)))


@router.get("/entries/{entry_id}/correct")
def correct(person: Operator, page: PageDep, entry_id: str) -> Response:
    """The target fields with what the change would write."""
    entry, fields = _read(page, entry_id)
    return page.show(
        person, "correct.html", entry=entry, fields=fields, typed=Typed({}, frozenset()), changed=None
    )


@router.post("/entries/{entry_id}/correct")
def submit(
    person: Operator,
    page: PageDep,
    entry_id: str,
    step: Annotated[Literal["look", "edit", "go"], Form()],
    typed: Annotated[Typed, Depends(read_typed)],
) -> Response:
    """Show the difference (look), go back to the form (edit), or replay with it (go)."""
    entry, fields = _read(page, entry_id)
    changed = corrections(fields, typed.values, typed.empty)
    if step == "go" and changed:
        order = JobOrder(
            Decision.RETRY, as_json(changed), None, 0, f"entry {entry.id}, corrected values", named=True
        )
        job = start_job(page.web.store, [entry.id], order, Actor(person.name, person.via))
        if isinstance(job, JobRefused):
            return go(f"/entries/{entry.id}", Flash(f"It was not replayed: {job.reason}.", "refused"))
        said = Flash(
            "It is on its way to a worker with the corrected values.", "done", f"/replays/{job.id}", "Replay"
        )
        return go(f"/entries/{entry.id}", said)
    return page.show(
        person,
        "correct.html",
        entry=entry,
        fields=fields,
        typed=typed,
        changed=None if step == "edit" else changed,
    )


def _read(page: Page, entry_id: str) -> tuple[Entry, list[Field]]:
    with page.web.store.reading() as connection:
        entry = find_entry(connection, entry_id)
        original = read_original(connection, entry.payload_id)
    change = None if original is None else read_with_registry(page, original)
    fields = target_fields(page.web.config, entry, change)
    if not fields:
        raise WrongUse("the fields of this entry are not known here, so none can be corrected")
    return entry, fields
