"""The programs that the demo runs beside itself, each with its log in a file of the demo's folder."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_STOP_WITHIN_S = 8.0


class ProgramEndedError(Exception):
    """A program that should run has ended by itself; the text names it."""


class Programs:
    """What was started and not yet stopped.

    Each program has a session of its own: Ctrl-C on the terminal reaches the demo alone, which then stops the others.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: Sequence[str]) -> None:
        """Start a program whose output goes to `<name>.log`."""
        with self._log(name).open("ab") as log:
            environment = {**os.environ, "NO_COLOR": "1"}
            self._running[name] = start_apart(
                command, cwd=self._folder, env=environment, stdout=log, stderr=log
            )

    def check(self) -> None:
        """Raise ProgramEndedError when one of them does not run any more."""
        for name, process in self._running.items():
            code = process.poll()
            if code is not None:
                raise ProgramEndedError(f"the {name} ended by itself, with exit code {code}")

    def log_tails(self, lines: int) -> dict[str, str]:
        """Return the last lines of each program's log."""
        return {name: _tail(self._log(name), lines) for name in self._running}

    def stop(self) -> None:
        """Stop all, the last started first; the broker, on which the others depend, comes last and alone."""
        first, *others = self._running.values() or [None]
        _stop([process for process in reversed(others) if process is not None])
        _stop([first] if first is not None else [])
        self._running.clear()

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"


def start_apart(command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, with nothing to read; `options` are Popen's."""
    return subprocess.Popen(  # noqa: S603  our own programs
        command, stdin=subprocess.DEVNULL, start_new_session=True, **options
    )


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.send_signal(signal.SIGTERM)
    deadline_s = time.monotonic() + _STOP_WITHIN_S
    for process in processes:
        try:
            process.wait(max(0.0, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _tail(file: Path, lines: int) -> str:
    with file.open("rb") as log:
        log.seek(max(0, os.fstat(log.fileno()).st_size - 32_768))
        return "\n".join(log.read().decode("utf-8", "replace").splitlines()[-lines:])
