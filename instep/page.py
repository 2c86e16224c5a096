"""The page docs/cli.md, made from the commands' own help."""

import inspect
from collections.abc import Iterator

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from instep.exit import CODES_HELP

_INTRODUCTION = f"""\
<!-- Generated from the commands' own help by `make docs`. -->
# Command line

{CODES_HELP}

Commands that need the configuration take it from `-c FILE`, else from the environment variable `INSTEP_CONFIG`, else from
`instep.yaml` in the folder they run in. What is meant for people goes to stdout, errors and logs to stderr; `--json` prints one
JSON object a line.
"""


def cli_page(app: typer.Typer) -> str:
    """Return the whole page as Markdown, a section for each command."""
    commands = list(commands_of(app))
    contents = "".join(f"- [`{name}`](#{name.replace(' ', '-')})\n" for name, _ in commands)
    return f"{_INTRODUCTION}\n{contents}" + "".join(_section(name, command) for name, command in commands)


def commands_of(app: typer.Typer) -> Iterator[tuple[str, TyperCommand]]:
    """Yield every command with its whole name, as `instep errors list`."""
    yield from _below("instep", get_command(app))


def _below(name: str, command: object) -> Iterator[tuple[str, TyperCommand]]:
    if isinstance(command, TyperGroup):
        for inner_name, inner in command.commands.items():
            yield from _below(f"{name} {inner_name}", inner)
    elif isinstance(command, TyperCommand):
        yield name, command


def _section(name: str, command: TyperCommand) -> str:
    rows = "".join(_parameter(each) for each in command.params)
    table = f"\n| | |\n| --- | --- |\n{rows}" if rows else ""
    return f"\n## `{name}`\n\n{inspect.cleandoc(command.help or '')}\n{table}"


def _parameter(parameter: object) -> str:
    names = [*getattr(parameter, "opts", ()), *getattr(parameter, "secondary_opts", ())]
    metavar = getattr(parameter, "metavar", None) or ""
    default = getattr(parameter, "default", None)
    shown = (
        f" Default: `{default}`." if default not in (None, False, (), []) and not callable(default) else ""
    )
    written = ", ".join(names) if names[0].startswith("-") else names[0].upper()
    words = " ".join((getattr(parameter, "help", None) or "").split()).replace("|", "\\|")
    return f"| `{f'{written} {metavar}'.strip()}` | {words}{shown} |\n"
