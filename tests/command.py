"""Instep's command line in a process of its own, forked from one that has loaded all of it.

What runs is what the script `instep` runs. Loading takes a second of CPU, and the tests start hundreds of processes; what
talks with them while they run, and the demo, start the script itself.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path
from tempfile import TemporaryDirectory

INSTEP = str(Path(sys.executable).with_name("instep"))
_LOADED = ["instep.main", "worker.app", "worker.connectors.sql", "sink.app", "psycopg", "pymysql"]
_forking: ForkServerContext = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(_LOADED)


def _environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our environment without what would configure Instep, wide enough that no line is folded."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("INSTEP_")}
    return kept | {"COLUMNS": "200"} | dict(extra or {})


class Running:
    """A command that was started, with its output in files; the methods are those of `subprocess.Popen`."""

    def __init__(
        self,
        arguments: Sequence[str | Path],
        output: Path,
        *,
        folder: Path,
        errors: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        output.touch()
        words = [str(each) for each in arguments]
        self._process = _forking.Process(
            target=_run,
            args=(words, folder, output, errors or output, _environment(environment)),
            daemon=True,
        )
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout_s: float | None = None) -> int:
        """Wait for its end and return the exit code; raises subprocess.TimeoutExpired."""
        self._process.join(timeout_s)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired("instep", timeout_s or 0.0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it without any chance to tidy up."""
        self.send_signal(signal.SIGKILL)


def run_instep(
    *arguments: str | Path,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; raises subprocess.TimeoutExpired."""
    with TemporaryDirectory() as aside:
        output, errors = Path(aside, "output"), Path(aside, "errors")
        running = Running(arguments, output, errors=errors, folder=folder, environment=environment)
        try:
            code = running.wait(timeout_s)
        except subprocess.TimeoutExpired:
            running.kill()
            raise
        return subprocess.CompletedProcess(arguments, code, output.read_text(), errors.read_text())


def _run(words: list[str], folder: Path, output: Path, errors: Path, environment: Mapping[str, str]) -> None:
    from instep.main import main

    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, file, how in (
        (0, Path(os.devnull), os.O_RDONLY),
        (1, output, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        (2, errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND),
    ):
        opened = os.open(file, how, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = ["instep", *words]
    main()
