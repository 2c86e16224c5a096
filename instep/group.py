"""What every command group of the command line is made like."""

import typer

from instep.exit import CODES_HELP


def new_group(help_text: str) -> typer.Typer:
    """Return an empty command group whose help texts are Markdown, and whose errors are no tracebacks."""
    return typer.Typer(
        no_args_is_help=True,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        help=help_text,
        epilog=CODES_HELP,
    )
