"""Signals as a process gets them."""

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

PROGRAM = """
import sys
from plumbing.signals import stop_on_signals
stop = stop_on_signals()
print("ready", flush=True)
stop.wait()
print("stopping", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with started:
        yield started
        started.kill()


def says(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_to_stop_and_lets_the_process_end_by_itself(
    process: subprocess.Popen[str], number: signal.Signals
) -> None:
    assert says(process) == "ready"

    process.send_signal(number)

    assert says(process) == "stopping"
    process.communicate()
    assert process.returncode == 0


def test_a_second_signal_ends_at_once(process: subprocess.Popen[str]) -> None:
    assert says(process) == "ready"

    process.send_signal(signal.SIGINT)
    assert says(process) == "stopping"
    process.send_signal(signal.SIGTERM)

    assert process.wait(10) == 128 + signal.SIGTERM
