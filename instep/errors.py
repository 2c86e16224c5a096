"""`instep errors …`: what is wrong now, and what to do about it."""

from pathlib import Path
from typing import Annotated

import typer

from instep import errors_acting, groups
from instep.at_desk import TokenFile, Url, at_desk, refuse, selection
from instep.configuration import DEFAULT_FILE, ConfigFile
from instep.exit import CODES_HELP
from instep.group import new_group
from instep.selecting import (
    AsJson,
    Categories,
    Codes,
    Groups,
    Mappings,
    NewerThan,
    OlderThan,
    Records,
    States,
)

app = new_group("See what is wrong now, and put it right.")


@app.command("list", epilog=CODES_HELP)
def list_entries(
    *,
    config: ConfigFile = DEFAULT_FILE,
    url: Url = None,
    token_file: TokenFile = None,
    states: States = None,
    mappings: Mappings = None,
    categories: Categories = None,
    codes: Codes = None,
    records: Records = None,
    groups: Groups = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 50,
    after: Annotated[
        str | None, typer.Option("--after", metavar="PAGE", help="Go on where the page before ended.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what is wrong now, the last failed first. What is over is shown when asked for by --state.

    ```
    instep errors list
    instep errors list --mapping customers --code too_long
    instep errors list --state resolved --newer-than 1d --json
    ```
    """
    from sink.console.listing import list_entries as run

    selected = selection(None, states, mappings, categories, codes, records, groups, older_than, newer_than)
    with at_desk(config, url, token_file) as desk:
        raise typer.Exit(run(desk, selected, limit=limit, after=after, as_json=as_json))


@app.command(epilog=CODES_HELP)
def show(
    entry: Annotated[str, typer.Argument(metavar="ID", help="An entry by id; its first digits are enough.")],
    config: ConfigFile = DEFAULT_FILE,
    url: Url = None,
    token_file: TokenFile = None,
    message: Annotated[
        bool, typer.Option("--message", help="Show the message of the change too, with the values in it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show all that is known of one entry: what happened, why, what to do, and what was tried.

    ```
    instep errors show 3f2a
    ```
    """
    from sink.console.listing import show_entry

    with at_desk(config, url, token_file) as desk:
        raise typer.Exit(show_entry(desk, entry, with_message=message, as_json=as_json))


for _command in (
    errors_acting.replay,
    errors_acting.resolve,
    errors_acting.discard,
    errors_acting.clear,
    errors_acting.restore,
):
    app.command(epilog=CODES_HELP)(_command)


@app.command(epilog=CODES_HELP)
def export(
    *,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Left out: the standard output.", show_default=False)
    ] = None,
    config: ConfigFile = DEFAULT_FILE,
    url: Url = None,
    token_file: TokenFile = None,
    states: States = None,
    mappings: Mappings = None,
    categories: Categories = None,
    codes: Codes = None,
    records: Records = None,
    groups: Groups = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    form: Annotated[str, typer.Option("--format", metavar="jsonl|csv", help="JSON Lines or CSV.")] = "jsonl",
) -> None:
    """Write all entries that are selected to a file, for a spreadsheet or a program.

    ```
    instep errors export errors.csv --format csv
    instep errors export --state resolved | jq .code
    ```
    """
    from sink.console.listing import export_entries

    if form not in ("jsonl", "csv"):
        refuse(f'--format must be jsonl or csv, not "{form}"')
    selected = selection(None, states, mappings, categories, codes, records, groups, older_than, newer_than)
    with at_desk(config, url, token_file) as desk:
        raise typer.Exit(export_entries(desk, selected, file, form))


@app.command(epilog=CODES_HELP)
def quarantine(
    config: ConfigFile = DEFAULT_FILE,
    url: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Show the messages of the error topic that could not be read, and why.

    ```
    instep errors quarantine
    ```
    """
    from sink.console.clearing import list_quarantine

    with at_desk(config, url, token_file) as desk:
        raise typer.Exit(list_quarantine(desk, as_json=as_json))


app.command(epilog=CODES_HELP)(errors_acting.reimport)
for _of_groups in (groups.groups, groups.mute, groups.unmute):
    app.command(epilog=CODES_HELP)(_of_groups)
