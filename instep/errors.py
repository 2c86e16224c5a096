"""`instep errors …`: what is wrong now, and what to do about it."""

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from instep.configuration import DEFAULT_FILE, ConfigFile, load
from instep.exit import CODES_HELP, Exit
from instep.group import new_group
from instep.selecting import (
    AsJson,
    Categories,
    Codes,
    DryRun,
    Ids,
    Mappings,
    NewerThan,
    OlderThan,
    Reason,
    Records,
    States,
    Yes,
)

app = new_group("See what is wrong now, and put it right.")


@app.command("list", epilog=CODES_HELP)
def list_entries(
    *,
    config: ConfigFile = DEFAULT_FILE,
    states: States = None,
    mappings: Mappings = None,
    categories: Categories = None,
    codes: Codes = None,
    records: Records = None,
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

    selection = _selection(None, states, mappings, categories, codes, records, older_than, newer_than)
    with _store(config) as store:
        raise typer.Exit(run(store, selection, limit=limit, after=after, as_json=as_json))


@app.command(epilog=CODES_HELP)
def show(
    entry: Annotated[str, typer.Argument(metavar="ID", help="An entry by id; its first digits are enough.")],
    config: ConfigFile = DEFAULT_FILE,
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

    with _store(config) as store:
        raise typer.Exit(show_entry(store, entry, with_message=message, as_json=as_json))


@app.command(epilog=CODES_HELP)
def replay(
    *,
    ids: Ids = None,
    config: ConfigFile = DEFAULT_FILE,
    states: States = None,
    mappings: Mappings = None,
    categories: Categories = None,
    codes: Codes = None,
    records: Records = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    wait: Annotated[
        bool,
        typer.Option("--wait", help="Wait for the workers' answers; exit code 1 unless all are resolved."),
    ] = False,
    timeout_s: Annotated[
        float | None,
        typer.Option(
            "--timeout", min=0.1, metavar="SECONDS", help="Wait no longer; left out: as the sink does."
        ),
    ] = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Have changes tried again. The running sink sends them; the worker says what became of them.

    A replay never overwrites anything newer: if the record has changed since, that change counts.

    ```
    instep errors replay 3f2a --wait
    instep errors replay --mapping customers --code too_long --wait
    ```
    """
    from sink.console.acting import Manner, Wait
    from sink.console.acting import replay as run

    selection = _selection(ids, states, mappings, categories, codes, records, older_than, newer_than)
    checked = load(config)
    patience = Wait(timeout_s or checked.sink.replay_timeout_s) if wait else None
    with _store(config) as store:
        raise typer.Exit(run(store, selection, _actor(), Manner(dry_run, _agree, as_json), patience))


@app.command(epilog=CODES_HELP)
def resolve(
    *,
    ids: Ids = None,
    config: ConfigFile = DEFAULT_FILE,
    states: States = None,
    mappings: Mappings = None,
    categories: Categories = None,
    codes: Codes = None,
    records: Records = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Close entries whose records were put right by hand. The worker forgets the failed changes.

    ```
    instep errors resolve 3f2a --reason "entered in the target by hand"
    ```
    """
    from sink.console.acting import Manner, close
    from sink.states import Action

    selection = _selection(ids, states, mappings, categories, codes, records, older_than, newer_than)
    manner = Manner(dry_run, _agree if yes else _ask, as_json)
    with _store(config) as store:
        raise typer.Exit(close(store, selection, Action.RESOLVE, _actor(), reason, manner))


@app.command(epilog=CODES_HELP)
def discard(
    *,
    ids: Ids = None,
    config: ConfigFile = DEFAULT_FILE,
    states: States = None,
    mappings: Mappings = None,
    categories: Categories = None,
    codes: Codes = None,
    records: Records = None,
    older_than: OlderThan = None,
    newer_than: NewerThan = None,
    reason: Reason = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Give failed changes up: the records stay as they are in the target.

    ```
    instep errors discard --code undecodable --older-than 30d --reason "test data"
    ```
    """
    from sink.console.acting import Manner, close
    from sink.states import Action

    selection = _selection(ids, states, mappings, categories, codes, records, older_than, newer_than)
    manner = Manner(dry_run, _agree if yes else _ask, as_json)
    with _store(config) as store:
        raise typer.Exit(close(store, selection, Action.DISCARD, _actor(), reason, manner))


@app.command(epilog=CODES_HELP)
def clear(
    *,
    config: ConfigFile = DEFAULT_FILE,
    states: States = None,
    mappings: Mappings = None,
    categories: Categories = None,
    codes: Codes = None,
    records: Records = None,
    older_than: Annotated[
        str | None,
        typer.Option("--older-than", metavar="AGE", help="Only what was closed longer ago, such as 7d."),
    ] = None,
    include_open: Annotated[
        bool, typer.Option("--include-open", help="Delete entries too that are still relevant.")
    ] = False,
    archive: Annotated[
        Path | None,
        typer.Option(
            "--archive",
            metavar="FILE",
            help="The archive to write; left out: a new one in the archive folder.",
        ),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Delete closed entries, after writing them to an archive that `restore` brings them back from.

    An entry whose replay is under way is left alone. A deleted entry that fails again is a new entry.

    ```
    instep errors clear --older-than 7d
    instep errors clear --include-open --mapping customers --dry-run
    ```
    """
    from sink.console.acting import Manner
    from sink.console.clearing import clear as run
    from sink.console.clearing import default_archive

    checked = load(config)
    selection = _selection(None, states, mappings, categories, codes, records, older_than, None)
    manner = Manner(dry_run, _agree if yes else _ask, as_json=False)
    file = archive or default_archive(checked.sink.archive)
    with _store(config) as store:
        raise typer.Exit(run(store, selection, file, _actor(), manner, include_open=include_open))


@app.command(epilog=CODES_HELP)
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An archive that `clear` wrote.")],
    config: ConfigFile = DEFAULT_FILE,
    dry_run: DryRun = False,
) -> None:
    """Bring the entries of an archive back, all or none. Those that stand in the list again are left alone.

    ```
    instep errors restore instep-errors-20261123T081500Z.avro
    ```
    """
    from sink.console.clearing import restore as run

    with _store(config) as store:
        raise typer.Exit(run(store, file, _actor(), dry_run=dry_run))


@app.command(epilog=CODES_HELP)
def export(
    *,
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Left out: the standard output.", show_default=False)
    ] = None,
    config: ConfigFile = DEFAULT_FILE,
    states: States = None,
    mappings: Mappings = None,
    categories: Categories = None,
    codes: Codes = None,
    records: Records = None,
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
        _refuse(f'--format must be jsonl or csv, not "{form}"')
    selection = _selection(None, states, mappings, categories, codes, records, older_than, newer_than)
    with _store(config) as store:
        raise typer.Exit(export_entries(store, selection, file, form))


@app.command(epilog=CODES_HELP)
def quarantine(config: ConfigFile = DEFAULT_FILE, as_json: AsJson = False) -> None:
    """Show the messages of the error topic that could not be read, and why.

    ```
    instep errors quarantine
    ```
    """
    from sink.console.clearing import list_quarantine

    with _store(config) as store:
        raise typer.Exit(list_quarantine(store, as_json=as_json))


@app.command(epilog=CODES_HELP)
def reimport(config: ConfigFile = DEFAULT_FILE) -> None:
    """Read the messages in quarantine again, as after an upgrade; a sink does so for newer ones when it starts.

    ```
    instep errors reimport
    ```
    """
    from plumbing.codec import open_codec
    from sink.console.clearing import reimport_all

    checked = load(config)
    with ExitStack() as closing:
        store = closing.enter_context(_store(config))
        raise typer.Exit(reimport_all(store, open_codec(checked.kafka, closing)))


def _selection(
    ids: list[str] | None,
    states: list[str] | None,
    mappings: list[str] | None,
    categories: list[str] | None,
    codes: list[str] | None,
    records: list[str] | None,
    older_than: str | None,
    newer_than: str | None,
) -> Any:
    from sink.desk.selection import Selection

    return Selection(
        ids=ids or (),
        states=states or (),
        mappings=mappings or (),
        categories=categories or (),
        codes=codes or (),
        records=records or (),
        older_than=older_than,
        newer_than=newer_than,
    )


@contextmanager
def _store(config: Path) -> Iterator[Any]:
    from sink.console.opening import opened
    from sink.desk.selection import WrongUse

    checked = load(config)
    try:
        with opened(checked) as store:
            yield store
    except WrongUse as error:
        _refuse(str(error))


def _refuse(reason: str) -> None:
    typer.echo(reason, err=True)
    raise typer.Exit(Exit.WRONG_USE)


def _actor() -> Any:
    from sink.actions import Actor

    return Actor(_user(), "cli")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return str(os.getuid())


def _agree(_question: str) -> bool:
    return True


def _ask(question: str) -> bool:
    if not sys.stdin.isatty():
        _refuse(f"{question} Nobody is here to answer: add --yes, or look first with --dry-run.")
    return typer.confirm(question)
