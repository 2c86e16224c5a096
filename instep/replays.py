"""`instep replays …`: jobs that have many changes tried again."""

from pathlib import Path
from typing import Annotated

import typer

from instep.at_desk import TokenFile, Url, at_desk
from instep.configuration import DEFAULT_FILE, ConfigFile
from instep.exit import CODES_HELP
from instep.group import new_group
from instep.selecting import AsJson

Job = Annotated[str, typer.Argument(metavar="JOB", help="A job by id; its first digits are enough.")]

app = new_group("See how replay jobs go, and pause, resume or cancel them.")


@app.command("list", epilog=CODES_HELP)
def list_jobs(
    *,
    config: ConfigFile = DEFAULT_FILE,
    url: Url = None,
    token_file: TokenFile = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many at most.")] = 20,
    after: Annotated[
        str | None, typer.Option("--after", metavar="PAGE", help="Go on where the page before ended.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the replay jobs, the newest first. `instep errors replay` starts one.

    ```
    instep replays list
    ```
    """
    from sink.console.jobs import list_jobs as run

    with at_desk(config, url, token_file) as desk:
        raise typer.Exit(run(desk.jobs, limit=limit, after=after, as_json=as_json))


@app.command(epilog=CODES_HELP)
def show(
    job: Job,
    config: ConfigFile = DEFAULT_FILE,
    url: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Show how a job goes, and which of its entries did not go through; with --json a line for each entry.

    ```
    instep replays show 7d20
    ```
    """
    from sink.console.jobs import show_job

    with at_desk(config, url, token_file) as desk:
        raise typer.Exit(show_job(desk.jobs, job, as_json=as_json))


@app.command(epilog=CODES_HELP)
def pause(
    job: Job,
    config: ConfigFile = DEFAULT_FILE,
    url: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Have a job ask for no more entries until it is resumed; what was asked for goes on.

    ```
    instep replays pause 7d20
    ```
    """
    _step("pause", job, config, url, token_file, as_json=as_json)


@app.command(epilog=CODES_HELP)
def resume(
    job: Job,
    config: ConfigFile = DEFAULT_FILE,
    url: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Have a job go on that was paused, or that stopped itself, then without canaries.

    ```
    instep replays resume 7d20
    ```
    """
    _step("resume", job, config, url, token_file, as_json=as_json)


@app.command(epilog=CODES_HELP)
def cancel(
    job: Job,
    config: ConfigFile = DEFAULT_FILE,
    url: Url = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Have a job ask for no more entries for good; what was asked for goes on.

    ```
    instep replays cancel 7d20
    ```
    """
    _step("cancel", job, config, url, token_file, as_json=as_json)


def _step(
    step: str, job: str, config: Path, url: str | None, token_file: Path | None, *, as_json: bool
) -> None:
    from sink.console.jobs import step_job
    from sink.jobs import JobStep

    with at_desk(config, url, token_file) as desk:
        raise typer.Exit(step_job(desk.jobs, job, JobStep(step), as_json=as_json))
