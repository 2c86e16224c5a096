"""The pages *Record errors*, *Setup errors* and *All entries*: one line an entry, filters that are the address."""

import re
from functools import cache

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from schemas.catalogue import Category, catalogue
from schemas.config.model import Config
from sink.desk.selection import read_cursor, write_cursor
from sink.states import CLOSED, RELEVANT, State
from sink.store.entries import Filter, page_key, read_page
from sink.web.access.need import Viewer
from sink.web.access.person import Person
from sink.web.page.list_query import ENTRIES, RECORDS, SETUP, ListQuery, Shelf, read_query
from sink.web.page.rendering import Page, PageDep

router = APIRouter()

_PAGE = 50
_ENTRY_ID = re.compile(r"[0-9a-f]{16}")


@router.get("/records")
def records(person: Viewer, page: PageDep) -> Response:
    """What the owners of records put right."""
    return _list(page, person, RECORDS)


@router.get("/setup")
def setup(person: Viewer, page: PageDep) -> Response:
    """What administrators and developers put right."""
    return _list(page, person, SETUP)


@router.get("/entries")
def entries(person: Viewer, page: PageDep) -> Response:
    """All entries; whoever searches for the id of one gets that one."""
    searched = page.request.query_params.get("text", "").strip()
    if _ENTRY_ID.fullmatch(searched):
        with page.web.store.reading() as connection:
            if read_page(connection, Filter(ids=(searched,)), limit=1):
                return RedirectResponse(f"/entries/{searched}", status_code=303)
    return _list(page, person, ENTRIES)


def _list(page: Page, person: Person, shelf: Shelf) -> Response:
    query = read_query(shelf, page.request.query_params.multi_items())
    wanted = query.filter(page.web.clock_us())
    after = None if query.after is None else read_cursor(query.after)
    with page.web.store.reading() as connection:
        found = read_page(connection, wanted, after=after, limit=_PAGE + 1)
    shown = found[:_PAGE]
    more = write_cursor(page_key(shown[-1])) if len(found) > _PAGE else None
    return page.show(
        person,
        "list.html",
        shelf=shelf,
        query=query,
        entries=shown,
        state_chips=_state_chips(query),
        only_mapping=cache(lambda name: query.with_only("mapping", name).address()),
        any_relevant=any(entry.state in RELEVANT for entry in shown),
        only_closed=bool(wanted.states) and CLOSED.issuperset(wanted.states),
        mappings=[(name, name) for name in _mappings(page.web.config)],
        codes=[
            (code.name, code.title)
            for code in catalogue().values()
            if not shelf.fixers or code.fixer in shelf.fixers
        ],
        categories=[(category, category) for category in Category],
        next=None if more is None else query.address(more),
    )


def _mappings(config: Config) -> list[str]:
    """Return the mappings that entries can be of: those of this program's own, then those of dead letters."""
    return list(dict.fromkeys([*config.mappings, *(each.mapping for each in config.sink.foreign)]))


def _state_chips(query: ListQuery) -> list[tuple[State | None, str, bool]]:
    """Return what the list can be narrowed to: a state (None: all that are not closed), its address, whether it is in force."""
    now = query.values("state")
    return [
        (state, query.with_only("state", state).address(), now == (() if state is None else (state,)))
        for state in (None, *State)
    ]
