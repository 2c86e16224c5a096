"""`instep explain`."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from instep.exit import Exit
from schemas.config.problem import did_you_mean

if TYPE_CHECKING:
    from schemas.catalogue import Code

_FIXERS = {
    "user": "the owner of the record",
    "admin": "an administrator",
    "developer": "a developer",
    "nobody": "nobody: it heals itself",
}


def explain(
    code: Annotated[
        str | None,
        typer.Argument(help="An error code, as on an entry; left out: all of them.", show_default=False),
    ] = None,
) -> None:
    """Say what an error code means, who can fix it, and how.

    ```
    instep explain too_long
    instep explain
    ```
    """
    from schemas.catalogue import catalogue

    codes = catalogue()
    if code is None:
        _list(list(codes.values()))
        return
    if code not in codes:
        typer.echo(
            f'There is no error code "{code}".{did_you_mean(code, codes)} List them with: instep explain',
            err=True,
        )
        raise typer.Exit(Exit.WRONG_USE)
    _page(codes[code])


def _list(codes: list["Code"]) -> None:
    table = Table("code", "category", "what it means", box=None)
    for code in codes:
        table.add_row(code.name, code.category, code.title)
    Console().print(table)


def _page(code: "Code") -> None:
    from schemas.catalogue_page import policy

    console = Console(highlight=False)
    console.print(f"[bold]{code.name}[/bold]  {code.title}")
    console.print(Padding(code.cause, (1, 0)))
    facts = Table.grid(padding=(0, 2))
    facts.add_row("category", code.category)
    facts.add_row("concerns", code.scope.replace("_", " "))
    facts.add_row("fixed by", _FIXERS[code.fixer])
    facts.add_row("decisions", ", ".join(code.decisions) or "none")
    facts.add_row("tried again", policy(code))
    console.print(facts)
    if code.steps:
        console.print(Padding("What to do", (1, 0, 0, 0)), style="bold")
    for number, step in enumerate(code.steps, 1):
        console.print(Padding(f"{number}. {step}", (0, 0, 0, 2)), markup=False)
