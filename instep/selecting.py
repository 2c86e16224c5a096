"""The options by which commands select entries, the same for all of them."""

from typing import Annotated

import typer

Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID…", help="Entries by id; its first digits are enough.", show_default=False),
]
States = Annotated[
    list[str] | None,
    typer.Option(
        "--state",
        help="open, waiting, replaying, unconfirmed, resolved, discarded; more than once for several. "
        "Left out: all that is not closed.",
    ),
]
Mappings = Annotated[list[str] | None, typer.Option("--mapping", help="Only this mapping.")]
Categories = Annotated[
    list[str] | None, typer.Option("--category", help="Only this category of errors, such as data or setup.")
]
Codes = Annotated[
    list[str] | None, typer.Option("--code", help="Only this error code; `instep explain` lists them.")
]
Records = Annotated[list[str] | None, typer.Option("--record", help="Only the record with this id.")]
Groups = Annotated[
    list[str] | None,
    typer.Option("--group", help="Only the entries of the group with this id; its first digits are enough."),
]
OlderThan = Annotated[
    str | None,
    typer.Option("--older-than", metavar="AGE", help="Only what last failed longer ago, such as 7d or 12h."),
]
NewerThan = Annotated[
    str | None, typer.Option("--newer-than", metavar="AGE", help="Only what failed since then, such as 30m.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON Lines.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Reason = Annotated[str | None, typer.Option("--reason", help="Why; it is kept with the entry.")]
