"""The page of all error codes, docs/errors.md, written from the catalogue: `python -m schemas.catalogue_page`."""

import sys
from collections.abc import Iterable, Mapping
from itertools import groupby

from schemas.catalogue import Category, Code, Fixer, Scope, catalogue

_INTRODUCTION = """\
# Errors

Every failure has a code. This page is made from the catalogue that the programs use (`schemas/catalogue.yaml`);
`instep explain CODE` shows the same on the terminal.
"""

CATEGORIES = {
    Category.COUPLING: "the pair of records is not what it should be",
    Category.CONFLICT: "both sides changed the record",
    Category.DATA: "the target cannot take these values",
    Category.SETUP: "the apps or the configuration are not ready",
    Category.TRANSIENT: "passes by itself",
    Category.POISON: "the message itself cannot be used",
    Category.INTERNAL: "a mistake in Instep",
    Category.FOREIGN: "another program gave a message up",
}
SCOPES = {
    Scope.RECORD: "the record: reported at once; the others go on",
    Scope.SELF_HEALING: "the record, for the moment",
    Scope.DEPENDENCY: "another record that is not there yet, or still there",
    Scope.APP: "the whole app: its mappings pause, one failure is reported, nothing is lost",
}
FIXERS = {
    Fixer.USER: "the record's owner",
    Fixer.ADMIN: "an admin",
    Fixer.DEVELOPER: "a developer",
    Fixer.NOBODY: "nobody: heals itself",
}


def page(codes: Mapping[str, Code]) -> str:
    """Return the page in Markdown."""
    chapters = [_INTRODUCTION, _overview(codes.values())]
    for category, members in groupby(codes.values(), lambda code: code.category):
        chapters.append(f"## {category.value}: {CATEGORIES[category]}\n")
        chapters.extend(map(_entry, members))
    return "\n".join(chapters)


def policy(code: Code) -> str:
    """Return in words when a failure of this code is tried again."""
    if code.scope is Scope.APP:
        return "the app is probed with growing delays; sync goes on where it stopped"
    at_once = f"{code.retry.in_place} times at once" if code.retry.in_place else ""
    later = ", ".join(map(_duration, code.retry.schedule_s))
    later = f"{later} after each failure; then it waits for a person" if later else ""
    return ", then after ".join(filter(None, (at_once, later))) or "not by itself"


def _overview(codes: Iterable[Code]) -> str:
    rows = [f"| [{code.name}](#{code.name}) | {code.title} | {FIXERS[code.fixer]} |" for code in codes]
    return "\n".join(["| code | what | who fixes it |", "| --- | --- | --- |", *rows, ""])


def _entry(code: Code) -> str:
    steps = [f"{number}. {step}" for number, step in enumerate(code.steps, 1)]
    lines = [
        f"### {code.name}",
        "",
        f"**{code.title}.** {code.cause}",
        "",
        *steps,
        "",
        f"- Concerns: {SCOPES[code.scope]}",
        f"- Who fixes it: {FIXERS[code.fixer]}",
        f"- Tried again: {policy(code)}",
    ]
    if code.decisions:
        lines.append(f"- Decisions: {', '.join(code.decisions)}")
    return "\n".join([*lines, ""])


def _duration(seconds: int) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


if __name__ == "__main__":
    sys.stdout.write(page(catalogue()))
