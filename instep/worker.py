"""`instep worker`."""

from typing import Annotated

import typer

from instep.configuration import DEFAULT_FILE, ConfigFile, load, refuse
from schemas.config.problem import Problem


def worker(
    config: ConfigFile = DEFAULT_FILE,
    drain: Annotated[
        bool,
        typer.Option(
            "--drain",
            help="Stop when everything that is in the topics now is done; told to stop before, exit with 1.",
        ),
    ] = False,
) -> None:
    """Apply changes to the target apps until told to stop.

    Start as many as there is work for: workers with the same configuration share it. SIGTERM or Ctrl-C lets the
    batch finish; a second one ends at once.

    ```
    instep worker -c instep.yaml
    instep worker --drain        # a backfill, or in a script
    ```
    """
    from plumbing.logs import configure_logs
    from plumbing.signals import stop_on_signals
    from worker.app import run

    checked = load(config)
    configure_logs()
    ended = run(checked, drain=drain, stop=stop_on_signals())
    if isinstance(ended, list):
        refuse(Problem(str(config), wrong.path, None, wrong.what) for wrong in ended)
    raise typer.Exit(ended)
