"""/catalogue: every error code with its cause, who fixes it, and how."""

from fastapi import APIRouter
from pydantic import BaseModel

from schemas.catalogue import Code, catalogue
from sink.web.access.need import Viewer
from sink.web.problem import documented, not_found

router = APIRouter(prefix="/catalogue", tags=["catalogue"], responses=documented(401, 403, 422))


class CodeView(BaseModel):
    """One error code."""

    name: str
    category: str
    scope: str
    title: str
    cause: str
    fixer: str
    steps: list[str]
    decisions: list[str]


@router.get("")
def list_codes(_person: Viewer) -> list[CodeView]:
    """List every error code."""
    return [_view(code) for code in catalogue().values()]


@router.get("/{code}", responses=documented(404))
def show_code(code: str, _person: Viewer) -> CodeView:
    """Show one error code."""
    found = catalogue().get(code)
    if found is None:
        raise not_found("error code")
    return _view(found)


def _view(code: Code) -> CodeView:
    return CodeView(
        name=code.name,
        category=code.category,
        scope=code.scope,
        title=code.title,
        cause=code.cause,
        fixer=code.fixer,
        steps=list(code.steps),
        decisions=list(code.decisions),
    )
