"""The command `instep`: every group in a file of its own, worker and sink loaded only when their command runs."""

import gc
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from instep import config, db, errors, replays, token, topics
from instep.demo import demo
from instep.exit import CODES_HELP, Exit
from instep.explain import explain
from instep.group import new_group
from instep.sink import sink
from instep.worker import worker
from plumbing.unreachable import UnreachableError

_COLLECT_AFTER = 100_000

app = new_group(
    "Keep the records of two business applications in step, and a list of what is wrong now.\n\n"
    "Commands that need the configuration take it from -c FILE or INSTEP_CONFIG."
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("instep"))
        raise typer.Exit


@app.callback()
def instep(  # noqa: D103  its help is that of the app
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass


for _command in (worker, sink, explain, demo):
    app.command(epilog=CODES_HELP)(_command)
for _group, _name in (
    (errors.app, "errors"),
    (replays.app, "replays"),
    (token.app, "token"),
    (config.app, "config"),
    (topics.app, "topics"),
    (db.app, "db"),
):
    app.add_typer(_group, name=_name)


def main() -> None:
    """Run the command line; a service that is away ends it with Exit.UNREACHABLE and no traceback."""
    # what is loaded stays: looking for cycles in it, again and again, takes a tenth of a command's start
    gc.set_threshold(_COLLECT_AFTER)
    try:
        app()
    except UnreachableError as error:
        typer.echo(str(error), err=True)
        sys.exit(Exit.UNREACHABLE)
