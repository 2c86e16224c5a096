"""The configuration file of a command: found, read, checked; or told what is wrong with it."""

import os
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from instep.exit import Exit
from schemas.config.model import Config
from schemas.config.parse import parse_config
from schemas.config.problem import ConfigProblems, Problem, path_text

CONNECTORS = "instep.connectors"

ConfigFile = Annotated[
    Path,
    typer.Option(
        "-c",
        "--config",
        envvar="INSTEP_CONFIG",
        metavar="FILE",
        help="The configuration file.",
    ),
]
DEFAULT_FILE = Path("instep.yaml")


def load(file: Path) -> Config:
    """Return the checked configuration, or say on stderr what is wrong with it and end with Exit.WRONG_USE."""
    config = read(file, os.environ)
    if isinstance(config, ConfigProblems):
        refuse(config.problems)
    return config


def read(file: Path, environ: Mapping[str, str]) -> Config | ConfigProblems:
    """Return what a file says, with secrets from `environ` and from the files it names, or what is wrong with it."""
    try:
        text = file.read_bytes().decode()
    except OSError as error:
        hint = " Name the file with -c FILE or INSTEP_CONFIG." if isinstance(error, FileNotFoundError) else ""
        return _unreadable(file, f"cannot be read: {error.strerror}.{hint}")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        return _unreadable(file, "is not UTF-8 text", line)
    installed = [entry_point.name for entry_point in entry_points(group=CONNECTORS)]
    config = parse_config(text, str(file), environ, _read_secret, connectors=installed)
    return config if isinstance(config, ConfigProblems) else _with_client_options(config, file)


def refuse(problems: Iterable[Problem]) -> NoReturn:
    """Say on stderr what is wrong with a configuration and end with Exit.WRONG_USE."""
    for problem in problems:
        typer.echo(str(problem), err=True)
    raise typer.Exit(Exit.WRONG_USE)


def _with_client_options(config: Config, file: Path) -> Config | ConfigProblems:
    if not config.kafka.client:
        return config
    # Loading Kafka's client takes a while: only for those who set its options.
    from plumbing.kafka_options import client_option_problems

    found = client_option_problems(config.kafka.client)
    problems = tuple(Problem(str(file), path_text(path), None, what) for path, what in found)
    return ConfigProblems(problems) if problems else config


def _read_secret(file: str) -> str:
    return Path(file).read_text(encoding="utf-8")


def _unreadable(file: Path, what: str, line: int | None = None) -> ConfigProblems:
    return ConfigProblems((Problem(str(file), "", line, what),))
