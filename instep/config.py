"""`instep config …`."""

import json
from typing import Annotated

import typer

from instep.configuration import DEFAULT_FILE, ConfigFile, load
from instep.exit import CODES_HELP, Exit
from instep.group import new_group
from schemas.config.model import Config, config_schema
from schemas.config.problem import Problem

app = new_group("Check a configuration file, or get help with writing one.")


@app.command(epilog=CODES_HELP)
def check(
    config: ConfigFile = DEFAULT_FILE,
    connect: Annotated[
        bool, typer.Option("--connect", help="Ask the target apps too: tables, columns, keys and privileges.")
    ] = False,
) -> None:
    """Say what is wrong with a configuration file, everything at once.

    ```
    instep config check -c instep.yaml
    instep config check --connect
    ```
    """
    checked = load(config)
    _check_apps(checked, str(config), connect=connect)
    mappings = len(checked.mappings)
    typer.echo(f"{config} is right: {mappings} mapping{'s' if mappings > 1 else ''}.")


@app.command(epilog=CODES_HELP)
def schema() -> None:
    """Print the JSON Schema of the configuration file, which lets an editor complete and check it.

    ```
    instep config schema > instep.schema.json
    ```
    """
    typer.echo(json.dumps(config_schema(), indent=2))


def _check_apps(config: Config, file: str, *, connect: bool) -> None:
    from worker.check import check_apps

    findings = check_apps(config, connect=connect)
    if not findings:
        return
    for finding in findings:
        typer.echo(str(Problem(file, finding.path, None, finding.what)), err=True)
    away = all(finding.unreachable for finding in findings)
    raise typer.Exit(Exit.UNREACHABLE if away else Exit.WRONG_USE)
