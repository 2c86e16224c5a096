"""`instep token …`: by which persons and programs are known to the sink."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic_core import PydanticCustomError

from instep.configuration import DEFAULT_FILE, ConfigFile, load
from instep.exit import CODES_HELP, Exit
from instep.group import new_group
from instep.selecting import AsJson
from instep.user import user_name
from schemas.config.scalar import parse_duration

ROLES = ("viewer", "operator", "admin")

app = new_group("Make, list and revoke the tokens by which people and programs are known to the sink.")


@app.command(epilog=CODES_HELP)
def create(
    *,
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="Whose it is; it stands in the audit log with all that is done."),
    ],
    role: Annotated[
        str,
        typer.Option(
            "--role",
            metavar="viewer|operator|admin",
            help="viewer reads, field values masked; operator also replays, resolves and discards; admin may do all.",
        ),
    ],
    expires: Annotated[
        str | None,
        typer.Option(
            "--expires",
            metavar="AGE",
            help="After how long it opens nothing more, such as 90d; left out: never.",
        ),
    ] = None,
    first: Annotated[
        bool, typer.Option("--first", help="Only if there is no token at all yet; else nothing is done.")
    ] = False,
    config: ConfigFile = DEFAULT_FILE,
    as_json: AsJson = False,
) -> None:
    """Make a token and print its secret, which is shown this once and stored nowhere.

    The secret alone goes to the standard output, so that a script can take it. It works before the sink's first start too.

    ```
    instep token create anna --role operator --expires 90d
    ```
    """
    from sink.console.tokens import Wanted
    from sink.console.tokens import create as run

    if role not in ROLES:
        _refuse(f'--role must be one of {", ".join(ROLES)}, not "{role}"')
    try:
        lifetime = None if expires is None else parse_duration(expires)
    except PydanticCustomError as error:
        _refuse(f"--expires {error.message()}")
    with _store(config, prepare=True) as store:
        wanted = Wanted(name, role, lifetime, only_first=first)
        raise typer.Exit(run(store, wanted, user_name(), as_json=as_json))


@app.command("list", epilog=CODES_HELP)
def list_tokens(config: ConfigFile = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """Show all tokens with their roles, when they were last used, and whether they still open anything.

    ```
    instep token list
    ```
    """
    from sink.console.tokens import list_tokens as run

    with _store(config) as store:
        raise typer.Exit(run(store, as_json=as_json))


@app.command(epilog=CODES_HELP)
def revoke(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A token by its name or its id.")],
    config: ConfigFile = DEFAULT_FILE,
) -> None:
    """Have a token open nothing any more, from now on; who signed in with it is signed out.

    ```
    instep token revoke anna
    ```
    """
    from sink.console.tokens import revoke as run

    with _store(config) as store:
        raise typer.Exit(run(store, name, user_name()))


@contextmanager
def _store(config: Path, *, prepare: bool = False) -> Iterator[Any]:
    from sink.console.opening import opened, prepared
    from sink.desk.selection import WrongUse

    checked = load(config)
    try:
        with (prepared if prepare else opened)(checked) as store:
            yield store
    except WrongUse as error:
        _refuse(str(error))


def _refuse(reason: str) -> NoReturn:
    typer.echo(reason, err=True)
    raise typer.Exit(Exit.WRONG_USE)
