"""`instep sink`."""

import typer

from instep.configuration import DEFAULT_FILE, ConfigFile, load


def sink(config: ConfigFile = DEFAULT_FILE) -> None:
    """Keep the list of what is wrong now, and serve its metrics, until told to stop.

    SIGTERM or Ctrl-C lets the batch finish; a second one ends at once.

    ```
    instep sink -c instep.yaml
    ```
    """
    from plumbing.logs import configure_logs
    from plumbing.signals import stop_on_signals
    from sink.app import run

    checked = load(config)
    configure_logs()
    raise typer.Exit(run(checked, stop_on_signals()))
