"""All that the story plays with: the two apps, the running programs, and the faces through which it looks at them."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from rich.console import Console
from rich.text import Text

from demo.apps import Crm, Erp
from demo.configuration import Addresses
from demo.expectation import Expected, Seen, differences, row_differences
from demo.processes import Programs, start_apart

INSTEP = (sys.executable, "-m", "instep")

_LOOK_AGAIN_S = 0.1
_STATES = ("open", "waiting", "replaying", "unconfirmed", "resolved", "discarded")
_PAUSED = 'instep_app_paused{app="crm"} 1.0'


class StoppedError(Exception):
    """Somebody pressed Ctrl-C."""


class CommandFailedError(Exception):
    """A command of Instep's did not work; the text has what it said."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The apps, the programs, and where everything is. Whatever waits raises StoppedError once `stop` is set."""

    erp: Erp
    crm: Crm
    programs: Programs
    addresses: Addresses
    configuration: Path
    console: Console
    http: httpx2.Client
    stop: threading.Event

    def wait_for(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Wait until something is the case; False when it is not in time. Raises ProgramEndedError."""
        deadline_s = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline_s:
                return False
            self._pause()
        return True

    def watch(self, expected: Expected, within_s: float) -> Seen:
        """Return what is the case as soon as it is what is expected, or when the time is up. Raises ProgramEndedError."""
        deadline_s = time.monotonic() + within_s
        while True:
            late = time.monotonic() > deadline_s
            rows = {number: row for number in expected.rows if (row := self.crm.find(number)) is not None}
            # What costs more to look at comes later: metrics a request, the list of entries the start of a program.
            if late or not any(row_differences(expected, rows)):
                paused = self.paused()
                if late or paused == expected.paused:
                    now = Seen.of(rows, self.entries(), paused=paused)
                    if late or not any(differences(expected, now)):
                        return now
            self._pause()

    def entries(self) -> list[dict[str, Any]]:
        """Return all entries, as `errors list --json` prints them."""
        states = [word for state in _STATES for word in ("--state", state)]
        output = self.instep("errors", "list", "--json", *states)
        return [json.loads(line) for line in output.splitlines()]

    def paused(self) -> bool:
        """Return whether the worker has paused the CRM."""
        return _PAUSED in self._get(self.addresses.worker_metrics)

    def ready(self) -> bool:
        """Return whether worker and sink are up."""
        urls = (self.addresses.worker_metrics, self.addresses.sink_ready)
        return all(self._get(url) for url in urls)

    def instep(self, *arguments: str) -> str:
        """Run a command of Instep and return what it prints; raises CommandFailedError."""
        code, output, errors = self._run(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if code:
            raise CommandFailedError(f"instep {' '.join(arguments[:2])} says: {(errors or output).strip()}")
        return output

    def show(self, *arguments: str) -> int:
        """Run a command of Instep on the terminal, as a person would, and return its exit code."""
        self.console.print(Text(f"\n$ instep {' '.join(arguments)}", style="bold cyan"))
        self.console.file.flush()
        return self._run(arguments)[0]

    def _pause(self) -> None:
        self.programs.check()
        if self.stop.wait(_LOOK_AGAIN_S):
            raise StoppedError

    def _run(self, arguments: Iterable[str], **options: Any) -> tuple[int, str, str]:
        command = [*INSTEP, *arguments, "-c", str(self.configuration)]
        process = start_apart(command, **options)
        while True:
            try:
                output, errors = process.communicate(timeout=_LOOK_AGAIN_S)
            except subprocess.TimeoutExpired:
                if self.stop.is_set():
                    process.kill()
                continue
            if self.stop.is_set():
                raise StoppedError
            return process.returncode, (output or b"").decode(), (errors or b"").decode()

    def _get(self, url: str) -> str:
        """Return a page's text; nothing when it is not there or says that something is wrong."""
        try:
            response = self.http.get(url)
        except httpx2.HTTPError:
            return ""
        return response.text if response.is_success else ""
