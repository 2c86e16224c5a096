"""`instep demo`: it plays as told, tells when it does not, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services.process import wait_until

Start = Callable[..., subprocess.Popen[str]]

INSTEP = [sys.executable, "-m", "instep", "demo"]
ONE_WRONG_TURN = """
import sys
from dataclasses import replace
from demo.app import run
from demo.story import STORY

wrong = replace(STORY[0].expected, rows={"C101": {"city": "Atlantis"}})
sys.exit(run(exit_after=True, turns=[replace(STORY[0], expected=wrong, within_s=10), STORY[1]]))
"""
NO_BROKER = """
import sys
from importlib import resources

def absent(name):
    raise ModuleNotFoundError(name)

resources.files = absent
from demo.app import run
sys.exit(run(exit_after=True))
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def start(*command: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "TMPDIR": str(tmp_path), "COLUMNS": "80"}
        with (tmp_path / "output").open("w") as output:
            process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, text=True, env=environment
            )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
        process.wait(30)


def output(tmp_path: Path) -> str:
    return (tmp_path / "output").read_text()


def left_behind(tmp_path: Path) -> list[str]:
    """Files, and processes that run in the demo's folder or were started with something in it."""
    found = [file.name for file in tmp_path.iterdir() if file.name != "output"]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            about = f"{(process / 'cwd').readlink()} {(process / 'cmdline').read_bytes().decode()}"
        except OSError:
            continue
        if str(tmp_path) in about:
            found.append(about)
    return found


@pytest.mark.timeout(400)
def test_story_goes_as_told_and_leaves_nothing_behind(start: Start, tmp_path: Path) -> None:
    code = start(*INSTEP, "--exit").wait(350)

    told = output(tmp_path)
    assert code == 0, told
    assert "NOT as expected" not in told
    assert told.count("$ instep errors list") == 14
    assert told.count("On the page: ") == 14
    assert re.search(r"The page +http://127\.0\.0\.1:\d+/\n", told)
    assert re.search(r"Metrics of the worker +http://127\.0\.0\.1:\d+/metrics", told)
    assert re.search(r"Metrics of the sink +http://127\.0\.0\.1:\d+/metrics", told)
    assert [line for line in told.splitlines() if len(line) > 80 or "\x1b" in line] == []
    assert left_behind(tmp_path) == []


@pytest.mark.timeout(200)
def test_outcome_that_is_not_the_expected_one_ends_with_1(start: Start, tmp_path: Path) -> None:
    code = start(sys.executable, "-c", ONE_WRONG_TURN).wait(150)

    told = output(tmp_path)
    assert code == 1, told
    assert "C101: city is 'Utrecht', expected: 'Atlantis'" in told
    assert "not played" in told
    assert "Last lines of the worker's log" in told
    assert left_behind(tmp_path) == []


@pytest.mark.timeout(200)
@pytest.mark.parametrize("moment", ["Starting a broker", "As expected"])
def test_ctrl_c_at_any_moment_leaves_nothing_behind(start: Start, tmp_path: Path, moment: str) -> None:
    process = start(*INSTEP)
    wait_until(lambda: moment in output(tmp_path), timeout_s=100, what=moment)

    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)

    assert process.wait(60) == 130, output(tmp_path)
    assert left_behind(tmp_path) == []


def test_without_its_broker_the_demo_says_what_to_install(start: Start, tmp_path: Path) -> None:
    code = start(sys.executable, "-c", NO_BROKER).wait(60)

    assert code == 2
    assert "pip install 'instep[demo]'" in output(tmp_path)
    assert left_behind(tmp_path) == []
