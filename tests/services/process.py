"""One server process: started, waited for, stopped or killed by its process id."""

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class UnavailableError(Exception):
    """A service cannot be had on this machine; the message says what is missing."""


class NotStartedError(Exception):
    """A server ended early or was not ready in time; the message ends with the tail of its log."""


# What was handed out is not handed out again: whoever has it may not have bound it yet.
_handed_out: set[int] = set()


def free_port() -> int:
    """A free loopback port below the range that clients get theirs from, so that a restart finds it free again."""
    while True:
        port = random.randint(15_000, 32_000)
        if port in _handed_out:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _handed_out.add(port)
        return port


def accepts(port: int) -> bool:
    """Whether something listens on this loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], bool], *, timeout_s: float, what: str, every_s: float = 0.05) -> None:
    """Asks again and again; raises TimeoutError that names `what` when the time is over."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not after {timeout_s:g} s")
        time.sleep(every_s)


def make_folder(name: str, *, owner: str | None = None) -> Path:
    """A new temporary folder, given to `owner` when we are root (others can only pass through)."""
    folder = Path(tempfile.mkdtemp(prefix=f"instep-{name}-"))
    folder.chmod(0o711)
    if owner is not None and os.geteuid() == 0:
        shutil.chown(folder, owner, owner)
    return folder


def run_as(owner: str | None) -> str | None:
    """The user to start a server as: `owner` when we are root (databases refuse root), else ourselves."""
    return owner if os.geteuid() == 0 else None


class ServerProcess:
    """A server that keeps its ports and data over stop and start."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        folder: Path,
        ready: Callable[[], bool],
        owner: str | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        kill_signal: signal.Signals = signal.SIGKILL,
        environment: Mapping[str, str] | None = None,
        work_folder: Path | None = None,
    ) -> None:
        self.name = name
        self.folder = folder
        self._command = [str(word) for word in command]
        self._ready = ready
        self._owner = run_as(owner)
        self._stop_signal = stop_signal
        self._kill_signal = kill_signal
        self._environment = {**os.environ, **(environment or {})}
        self._work_folder = work_folder or folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the running server; raises NotStartedError when it does not run."""
        if self._process is None:
            raise NotStartedError(f"{self.name} does not run")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, timeout_s: float = 60) -> None:
        """Starts the server and waits until it answers; raises NotStartedError."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._work_folder,
                env=self._environment,
                user=self._owner,
                group=self._owner,
                extra_groups=None if self._owner is None else [],
                start_new_session=True,
            )
        try:
            wait_until(lambda: not self.is_running or self._ready(), timeout_s=timeout_s, what=self.name)
        except TimeoutError as late:
            self.kill()
            raise NotStartedError(f"{late}\n{self._log_tail()}") from late
        if not self.is_running:
            raise NotStartedError(f"{self.name} ended at once\n{self._log_tail()}")

    def stop(self, *, timeout_s: float = 30) -> None:
        """Asks the server to end and waits; kills it when it does not end in time."""
        if self._process is None:
            return
        self._process.send_signal(self._stop_signal)
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """Ends the server without any chance to tidy up."""
        if self._process is None:
            return
        self._process.send_signal(self._kill_signal)
        self._process.wait()
        self._process = None

    def remove(self) -> None:
        """Kills the server and deletes its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def _log_tail(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-15:])
