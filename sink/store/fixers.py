"""Whose an entry is: who can put its code right, as a condition of queries."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, not_

from plumbing.database import Bind
from schemas.catalogue import Fixer, catalogue
from sink.store import bulk


def code_is_of(
    bind: Bind, code: Column[Any] | ColumnElement[Any], fixers: Sequence[str]
) -> ColumnElement[bool]:
    """Return the condition that a code is put right by one of these; an unknown code is for developers."""
    wanted = frozenset(fixers)
    by_developers = Fixer.DEVELOPER in wanted
    codes = [name for name, each in catalogue().items() if (each.fixer in wanted) is not by_developers]
    listed = bulk.among(bind, code, codes)
    return not_(listed) if by_developers else listed


def fixer_of(code: str) -> Fixer:
    """Return who can put an entry of this code right; a code of a newer worker is for developers."""
    known = catalogue().get(code)
    return Fixer.DEVELOPER if known is None else known.fixer
