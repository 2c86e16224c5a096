"""`instep errors groups`, `mute` and `unmute`: entries with one cause."""

from typing import Annotated, Any

import typer

from instep.at_desk import TokenFile, Url, at_desk
from instep.configuration import DEFAULT_FILE, ConfigFile
from instep.selecting import AsJson, Categories, Codes, Mappings

GroupId = Annotated[str, typer.Argument(metavar="GROUP", help="A group by id; its first digits are enough.")]


def groups(
    *,
    config: ConfigFile = DEFAULT_FILE,
    url: Url = None,
    token_file: TokenFile = None,
    states: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            help="open, regressed (it was resolved, and came back), muted, resolved; more than once for several. "
            "Left out: open and regressed.",
        ),
    ] = None,
    mappings: Mappings = None,
    categories: Categories = None,
    codes: Codes = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 50,
    after: Annotated[
        str | None, typer.Option("--after", metavar="PAGE", help="Go on where the page before ended.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what is wrong by its causes, those with the most entries first.

    ```
    instep errors groups
    instep errors groups --mapping customers --state muted
    instep errors replay --group 3f2a94c1d0b87e65 --wait
    ```
    """
    from sink.console.groups import list_groups
    from sink.desk.groups import GroupSelection

    def parts(values: list[str] | None) -> Any:
        return tuple(values or ())

    selection = GroupSelection(parts(states), parts(mappings), parts(categories), parts(codes))
    with at_desk(config, url, token_file) as desk:
        raise typer.Exit(list_groups(desk.groups, selection, limit=limit, after=after, as_json=as_json))


def mute(
    group: GroupId,
    *,
    config: ConfigFile = DEFAULT_FILE,
    url: Url = None,
    token_file: TokenFile = None,
    span: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="Until so much time has passed, such as 7d.")
    ] = None,
    up_to: Annotated[
        int | None,
        typer.Option(
            "--up-to",
            min=0,
            metavar="ENTRIES",
            help="Until it has more entries that are not closed than this.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Keep a group out of what is open, until a time or until it grows, whichever is first. Its entries stay as they are.

    ```
    instep errors mute 3f2a --for 7d
    instep errors mute 3f2a --up-to 200
    ```
    """
    from sink.console.groups import mute as run

    with at_desk(config, url, token_file) as desk:
        raise typer.Exit(run(desk.groups, group, span=span, up_to=up_to, as_json=as_json))


def unmute(
    group: GroupId,
    *,
    config: ConfigFile = DEFAULT_FILE,
    url: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Let a muted group be seen among what is open again.

    ```
    instep errors unmute 3f2a
    ```
    """
    from sink.console.groups import unmute as run

    with at_desk(config, url, token_file) as desk:
        raise typer.Exit(run(desk.groups, group, as_json=as_json))
