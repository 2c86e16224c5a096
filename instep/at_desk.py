"""How a command reaches the entries: the store of a configuration, or with --url a running sink."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from instep.configuration import load
from instep.exit import Exit
from instep.user import user_name

TOKEN = "INSTEP_TOKEN"  # noqa: S105  the name of the variable that holds it

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="INSTEP_URL",
        metavar="URL",
        help=f"Work through a running sink, such as https://sink.example:8080, with the token in {TOKEN}. "
        "Left out: with the store of the configuration.",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help=f"Read the token from this file instead of {TOKEN}."),
]


@contextmanager
def at_desk(config: Path, url: str | None, token_file: Path | None) -> Iterator[Any]:
    """The desk to work at; what makes no sense is said on stderr and ends the command with Exit.WRONG_USE."""
    from sink.desk.selection import WrongUse

    try:
        with _remote(url, token_file) if url else _direct(config) as desk:
            yield desk
    except WrongUse as error:
        refuse(str(error))


def selection(
    ids: list[str] | None = None,
    states: list[str] | None = None,
    mappings: list[str] | None = None,
    categories: list[str] | None = None,
    codes: list[str] | None = None,
    records: list[str] | None = None,
    groups: list[str] | None = None,
    older_than: str | None = None,
    newer_than: str | None = None,
) -> Any:
    """Return what the options select."""
    from sink.desk.selection import Selection

    def parts(values: list[str] | None) -> Sequence[str]:
        return tuple(values or ())

    return Selection(
        ids=parts(ids),
        states=parts(states),
        mappings=parts(mappings),
        categories=parts(categories),
        codes=parts(codes),
        records=parts(records),
        groups=parts(groups),
        older_than=older_than,
        newer_than=newer_than,
    )


def refuse(reason: str) -> NoReturn:
    """Say why a command makes no sense, and end it."""
    typer.echo(reason, err=True)
    raise typer.Exit(Exit.WRONG_USE)


def agree(_question: str) -> bool:
    """Answer yes, as --yes asks for."""
    return True


def ask(question: str) -> bool:
    """Ask the person at the terminal."""
    if not sys.stdin.isatty():
        refuse(f"{question} Nobody is here to answer: add --yes, or look first with --dry-run.")
    return typer.confirm(question)


@contextmanager
def _direct(config: Path) -> Iterator[Any]:
    from sink.actions import Actor
    from sink.console.opening import opened
    from sink.desk.direct import DirectDesk

    checked = load(config)
    with opened(checked) as store:
        yield DirectDesk(store, Actor(user_name(), "cli"), checked)


@contextmanager
def _remote(url: str, token_file: Path | None) -> Iterator[Any]:
    from sink.desk.remote import open_remote

    with open_remote(url, _token(token_file)) as desk:
        yield desk


def _token(file: Path | None) -> str | None:
    source = TOKEN if file is None else f"--token-file {file}"
    try:
        text = os.environ.get(TOKEN, "") if file is None else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        refuse(f"{source} cannot be read: {why}")
    token = text.strip()
    if not token.isascii() or not token.isprintable() or (file is not None and not token):
        refuse(f"{source} holds no token: a token has letters, digits, - and _ alone, such as instep_…")
    return token or None
