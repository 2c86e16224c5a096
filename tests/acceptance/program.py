"""One command of Instep's that keeps running, as a process of its own with its output in a file."""

import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.command import Running
from tests.services.process import wait_until

ENDS_WITHIN_S = 20.0


class Program:
    """A running command; `number` tells apart several of the same kind, each with a port of its own."""

    def __init__(
        self,
        arguments: list[str],
        log: Path,
        *,
        number: int = 0,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.number, self.port, self.log_file = number, port, log
        self._process = Running(arguments, log, folder=log.parent, environment=environment)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def failed(self) -> bool:
        """Whether it has ended by itself, with an error."""
        return (self._process.poll() or 0) > 0

    @property
    def log(self) -> str:
        """All that it has written so far."""
        return self.log_file.read_text(errors="replace")

    def says(self, words: str, *, within_s: float = 60) -> None:
        """Wait until its output contains these words; fails when it ends before."""
        wait_until(
            lambda: words in self.log or not self.running, timeout_s=within_s, what=f"the words {words!r}"
        )
        assert words in self.log, f"ended with {self._process.poll()} before it said {words!r}:\n{self.log}"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait(self, *, within_s: float = ENDS_WITHIN_S) -> int:
        """Wait for its end and return the exit code; fails when it does not end in time."""
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not end within {within_s:g} s:\n{self.log[-4000:]}") from None

    def stop(self, *, within_s: float = ENDS_WITHIN_S) -> int:
        """Ask it to end and return the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(within_s=within_s)

    def kill(self) -> None:
        """End it without any chance to tidy up."""
        self._process.kill()
        self._process.wait()
