"""`instep sink`."""

from contextlib import ExitStack

import typer

from instep.configuration import DEFAULT_FILE, ConfigFile, load
from instep.exit import Exit


def sink(config: ConfigFile = DEFAULT_FILE) -> None:
    """Keep the list of what is wrong now, and serve its metrics, until told to stop.

    SIGTERM or Ctrl-C lets the batch finish; a second one ends at once.

    ```
    instep sink -c instep.yaml
    ```
    """
    from plumbing.codec import open_codec
    from plumbing.kafka import until_reachable
    from plumbing.logs import configure_logs
    from plumbing.signals import stop_on_signals
    from sink.app import run

    checked = load(config)
    configure_logs()
    stop = stop_on_signals()
    with ExitStack() as closing:
        codec = until_reachable(lambda: closing.enter_context(open_codec(checked.kafka)), stop)
        raise typer.Exit(Exit.DONE if codec is None else run(checked, stop, codec))
