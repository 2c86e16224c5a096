"""What every command of the command line has, and that its page tells it."""

import subprocess
import sys
from pathlib import Path

import pytest

from instep.exit import Exit
from instep.main import app
from instep.page import cli_page, commands_of

PAGE = Path(__file__).parents[3] / "docs" / "cli.md"
COMMANDS = dict(commands_of(app))
NAMES = {
    *("instep worker", "instep sink", "instep config check", "instep config schema", "instep topics create"),
    *("instep topics list", "instep db upgrade", "instep explain", "instep demo", "instep errors list"),
    *("instep errors show", "instep errors replay", "instep errors resolve", "instep errors discard"),
    *("instep errors clear", "instep errors restore", "instep errors export"),
}


def test_all_commands_are_there() -> None:
    assert COMMANDS.keys() >= NAMES


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_it_does_and_shows_an_example(name: str) -> None:
    help_text = COMMANDS[name].help or ""

    assert help_text.splitlines()[0].endswith(".")
    assert f"\n{name}" in help_text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_does(name: str) -> None:
    assert [each.name for each in COMMANDS[name].params if not getattr(each, "help", None)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_exit_codes_stand_in_the_help(name: str) -> None:
    epilog = COMMANDS[name].epilog or ""

    assert all(f"{code.value} " in epilog for code in Exit)


def test_the_page_is_not_stale() -> None:
    assert PAGE.read_text(encoding="utf-8") == cli_page(app), "run: make docs"


def test_help_waits_for_no_kafka_client_no_database_and_no_web_framework() -> None:
    slow = ("kafka", "sqlalchemy", "fastapi", "httpx2", "fastavro", "worker", "sink")
    program = (
        f"import sys; from instep.main import app; print([name for name in {slow} if name in sys.modules])"
    )

    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert answer.stdout == "[]\n"
