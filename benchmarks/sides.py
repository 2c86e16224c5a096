"""One turn of one side: started, watched until its last row is committed, stopped, its rows compared.

Every side is timed in the same way, from outside: from the first moment when the target has a row until the moment when
it has the last change of every partition; the rows of the first moment are not counted. Starting up, joining the group and the
first batch are in nobody's time.
"""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmarks.topics import Topic

_LOOK_S = 0.01
_TICKS = os.sysconf("SC_CLK_TCK")


class Watch(Protocol):
    """A look at how far a side is."""

    def count_rows(self) -> int:
        """Return how many rows are there."""

    def has_ended(self) -> bool:
        """Whether the last one is."""


class Filled(Protocol):
    """What a side fills."""

    def empty(self) -> None:
        """Make it anew."""

    def watching(self) -> AbstractContextManager[Watch]:
        """Keep a connection open that asks how far a side is."""

    def compare(self, expected: Any) -> None:
        """Raise WrongRowsError unless it holds exactly what is expected."""


class SideFailedError(Exception):
    """A side ended, or stood still, before all was done; the message ends with the tail of its log."""


@dataclass(frozen=True, slots=True)
class Command:
    """One process of a side."""

    words: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Side:
    """One way to bring a topic into a table; `commands` makes its processes for a new consumer group in a new folder;
    `check` raises when what it left besides the table is not right."""

    name: str
    commands: Callable[[Topic, Any, Path], Sequence[Command]]
    ends_itself: bool = False
    check: Callable[[Topic, Path], None] = lambda _topic, _folder: None


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn took; `cpu_s` and `peak_mb` are of the side's processes: summed, and the greatest of them."""

    records: int
    seconds: float
    cpu_s: float
    peak_mb: float

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds


def take_turn(
    side: Side,
    topic: Topic,
    target: Filled,
    expected: Any,
    folder: Path,
    *,
    timeout_s: float = 1200,
) -> Turn:
    """Run a side once on an empty table; raises SideFailedError, or WrongRowsError when the table ends up wrong."""
    target.empty()
    folder.mkdir(parents=True)
    running = [
        _start(command, folder / f"{number}.log")
        for number, command in enumerate(side.commands(topic, target, folder))
    ]
    try:
        first, seconds, cpu_s, peak_mb = _watch(running, target, folder, timeout_s)
        if side.ends_itself:
            _wait_for_the_end(running, folder)
    finally:
        for process in running:
            _stop(process)
    if first >= topic.records:
        raise SideFailedError("all was committed at the first look: measure with more changes")
    target.compare(expected)
    side.check(topic, folder)
    return Turn(topic.records - first, seconds, cpu_s, peak_mb)


def _start(command: Command, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(
            list(command.words),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **command.environment},
            start_new_session=True,
        )


def _watch(
    running: Sequence[subprocess.Popen[bytes]], target: Filled, folder: Path, timeout_s: float
) -> tuple[int, float, float, float]:
    """Return the rows of the first moment, and seconds, CPU seconds and peak memory from then to the last row."""
    deadline = time.monotonic() + timeout_s
    with target.watching() as watch:
        while not (first := watch.count_rows()):
            _check(running, folder, deadline)
            time.sleep(_LOOK_S)
        began, cpu_began = time.monotonic(), sum(map(_cpu_s, running))
        cpu, peak = cpu_began, 0.0
        while not watch.has_ended():
            _check(running, folder, deadline)
            cpu = max(cpu, sum(map(_cpu_s, running)))
            peak = max(peak, *map(_peak_mb, running))
            time.sleep(_LOOK_S)
        ended = time.monotonic()
        cpu = max(cpu, sum(map(_cpu_s, running)))
    return first, ended - began, cpu - cpu_began, max(peak, *map(_peak_mb, running))


def _check(running: Sequence[subprocess.Popen[bytes]], folder: Path, deadline: float) -> None:
    for process in running:
        if process.poll() not in (None, 0):
            raise SideFailedError(f"a process ended with {process.returncode}\n{_tails(folder)}")
    if all(process.poll() is not None for process in running):
        raise SideFailedError(f"all processes ended before the last row was there\n{_tails(folder)}")
    if time.monotonic() > deadline:
        raise SideFailedError(f"the last row did not come in time\n{_tails(folder)}")


def _wait_for_the_end(running: Sequence[subprocess.Popen[bytes]], folder: Path) -> None:
    for process in running:
        try:
            code = process.wait(60)
        except subprocess.TimeoutExpired as late:
            raise SideFailedError(f"did not end within 60 s after its last row\n{_tails(folder)}") from late
        if code != 0:
            raise SideFailedError(f"ended with {code}\n{_tails(folder)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tails(folder: Path) -> str:
    return "\n".join(
        line
        for log in sorted(folder.glob("*.log"))
        for line in log.read_text(errors="replace").splitlines()[-25:]
    )


def _cpu_s(process: subprocess.Popen[bytes]) -> float:
    """CPU seconds of a process so far, all its threads; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _peak_mb(process: subprocess.Popen[bytes]) -> float:
    """Greatest resident memory of a process so far; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)
