"""The pages *Codes*: the catalogue, and each code with its cause and what to do."""

from itertools import groupby

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse

from schemas.catalogue import catalogue
from schemas.catalogue_page import CATEGORIES, FIXERS, SCOPES, policy
from sink.web.access.need import Viewer
from sink.web.page.rendering import PageDep

router = APIRouter()


@router.get("/codes")
def codes(person: Viewer, page: PageDep) -> HTMLResponse:
    """All codes, by category."""
    chapters = [
        (category, list(members))
        for category, members in groupby(catalogue().values(), lambda code: code.category)
    ]
    return page.show(person, "codes.html", chapters=chapters, categories=CATEGORIES, fixers=FIXERS)


@router.get("/codes/{name}")
def code(name: str, person: Viewer, page: PageDep) -> HTMLResponse:
    """One code: what it means, who fixes it, the steps, what can be decided."""
    found = catalogue().get(name)
    if found is None:
        raise HTTPException(404, "The catalogue has no such code. It may be one of a newer worker's.")
    return page.show(
        person,
        "code.html",
        code=found,
        tried_again=policy(found),
        concerns=SCOPES[found.scope],
        fixer=FIXERS[found.fixer],
        kind=CATEGORIES[found.category],
    )
