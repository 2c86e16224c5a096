"""The page *Entry*: what happened, why, what to do, and the decisions that its code allows."""

from typing import Annotated

from fastapi import APIRouter, Form, Response

from schemas.catalogue import Fixer, Scope, catalogue
from schemas.events import OriginalRecord
from sink import actions
from sink.actions import Actor, Wish
from sink.states import Action, Refusal, State, refusal
from sink.store.entries import Entry, read_original, read_replays
from sink.store.progress import paused_mappings
from sink.store.transitions import Refused
from sink.web.access.need import Admin, Operator, Viewer
from sink.web.access.person import Person
from sink.web.page.acting import Reason, closed_flash, unwatched
from sink.web.page.change import ShownChange, mask
from sink.web.page.corrections import correctable
from sink.web.page.finding import find_entry
from sink.web.page.flash import Flash, go
from sink.web.page.registry import read_with_registry
from sink.web.page.rendering import Page, PageDep
from sink.web.page.timeline import timeline
from sink.web.problem import not_found

router = APIRouter()

_REPLAYS = 50
_SHOWN_BYTES = 64 << 10
_FIXERS = {
    Fixer.USER: "The owner of the record puts it right.",
    Fixer.ADMIN: "An administrator puts it right.",
    Fixer.DEVELOPER: "A developer puts it right.",
    Fixer.NOBODY: "Nobody has to do anything: it heals itself.",
}
_ALL_DECISIONS = ("retry", "resolve", "discard")

Version = Annotated[int, Form(ge=0, le=10**18)]


@router.get("/entries/{entry_id}")
def show(person: Viewer, page: PageDep, entry_id: str) -> Response:
    """All that is known of one entry."""
    with page.web.store.reading() as connection:
        entry = find_entry(connection, entry_id)
        replays = read_replays(connection, entry.id, _REPLAYS)
        original = read_original(connection, entry.payload_id)
        paused = paused_mappings(connection, page.web.clock_us())
    change = None if original is None else _change(page, person, original)
    code = catalogue().get(entry.code)
    return page.show(
        person,
        "entry.html",
        entry=entry,
        code=code,
        whose=_FIXERS[Fixer.DEVELOPER if code is None else code.fixer],
        happenings=timeline(entry, replays),
        change=change,
        raw=_raw(original) if original is not None and person.sees_bytes else None,
        decisions=_decisions(entry),
        correctable=correctable(page.web.config, entry, change),
        why_not=_why_not(entry, paused),
        keeps_for=page.web.config.sink.retention.closed.total_seconds(),
    )


@router.get("/entries/{entry_id}/message")
def message(person: Admin, page: PageDep, entry_id: str) -> Response:  # noqa: ARG001  taking a person is what protects it
    """The bytes of the message behind an entry."""
    with page.web.store.reading() as connection:
        entry = find_entry(connection, entry_id)
        original = read_original(connection, entry.payload_id)
    if original is None or original.value is None:
        raise not_found("message")
    disposition = {"Content-Disposition": f'attachment; filename="{entry.id}.bin"'}
    return Response(original.value, media_type="application/octet-stream", headers=disposition)


@router.post("/entries/{entry_id}/retry")
def retry(person: Operator, page: PageDep, entry_id: str, version: Version) -> Response:
    """Send the change to a worker again."""
    refused = _act(page, person, entry_id, Wish(Action.REPLAY, row_version=version))
    if refused is not None:
        return go(f"/entries/{entry_id}", Flash(f"It was not replayed: {refused}.", "refused"))
    return go(f"/entries/{entry_id}", Flash("It is on its way to a worker; what comes of it is shown here."))


@router.post("/entries/{entry_id}/close")
def close(
    person: Operator,
    page: PageDep,
    entry_id: str,
    version: Version,
    act: Annotated[Action, Form()],
    reason: Reason = "",
) -> Response:
    """Resolve or discard one entry."""
    here = f"/entries/{entry_id}"
    if act is Action.REPLAY or (act is Action.DISCARD and not reason.strip()):
        return go(here, Flash("Nothing was discarded: say why, for those who ask later.", "refused"))
    wish = Wish(act, reason.strip() or None, row_version=version)
    steps = actions.act(page.web.store, [entry_id], wish, Actor(person.name, person.via), unwatched)
    return go(here, closed_flash(act, steps))


def _act(page: Page, person: Person, entry_id: str, wish: Wish) -> Refusal | None:
    steps = actions.act(page.web.store, [entry_id], wish, Actor(person.name, person.via), unwatched)
    return next((step.reason for step in steps if isinstance(step, Refused)), None)


def _change(page: Page, person: Person, original: OriginalRecord) -> ShownChange:
    change = read_with_registry(page, original)
    return change if person.sees_values else mask(change)


def _decisions(entry: Entry) -> tuple[str, ...]:
    """Return what can be decided here: what the code names, all three for a code that is not in the catalogue."""
    code = catalogue().get(entry.code)
    if code is None or entry.origin != "instep":
        return _ALL_DECISIONS
    named = tuple(each for each in _ALL_DECISIONS if each in code.decisions)
    # whether an unconfirmed replay went through is for a person to say
    return (*named, "resolve") if entry.state is State.UNCONFIRMED and "resolve" not in named else named


def _why_not(entry: Entry, paused: dict[str, str]) -> str | None:
    """Return why the entry cannot be replayed now, None when it can."""
    reason = refusal(Action.REPLAY, entry.state)
    if reason is not None:
        return str(reason)
    if entry.scope == Scope.APP:
        return str(Refusal.APP_FAILURE)
    if entry.position is None:
        return str(Refusal.NO_POSITION)
    return str(Refusal.PAUSED) if entry.mapping in paused else None


def _raw(original: OriginalRecord) -> list[tuple[str, str, int]]:
    """Return the parts of a message as text with their lengths; bytes that are no text are escaped."""
    parts = [("Key", original.key), ("Value", original.value)]
    parts += [(f"Header {name}", value) for name, value in original.headers]
    return [
        (name, value[:_SHOWN_BYTES].decode("utf-8", "backslashreplace"), len(value))
        for name, value in parts
        if value is not None
    ]
