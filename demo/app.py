"""The demo: starts everything, plays the story, and takes everything down again."""

import logging
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2
from rich.console import Console

from demo.apps import Crm, Erp
from demo.broker import BrokerMissingError, broker_command, find_broker
from demo.configuration import find_addresses, write_configuration
from demo.expectation import differences, summary
from demo.processes import ProgramEndedError, Programs
from demo.screen import Played, Screen
from demo.stage import INSTEP, CommandFailedError, Stage, StoppedError
from demo.story import STORY, Turn
from plumbing.kafka import close_producer, producer, until_reachable
from plumbing.logs import configure_logs
from schemas.config.kafka import KafkaConfig

DONE, FAILED, NOT_INSTALLED, STOPPED = 0, 1, 2, 130

_READY_WITHIN_S = 60.0
_LOG_LINES = 15
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(*, exit_after: bool, turns: Sequence[Turn] = STORY) -> int:
    """Play the story and return an exit code; without `exit_after`, stay up until Ctrl-C.

    0: every turn led to what was expected; 1: one did not; 2: the broker is not installed; 130: stopped before the end.
    Whatever happens, no process and no file is left behind.
    """
    console = Console(highlight=False)
    screen = Screen(console)
    try:
        program = find_broker()
    except BrokerMissingError as error:
        screen.problem(str(error))
        return NOT_INSTALLED
    with ExitStack() as closing:
        stop = closing.enter_context(_told_to_stop())
        folder = Path(closing.enter_context(TemporaryDirectory(prefix="instep-demo-")))
        log = closing.enter_context((folder / "demo.log").open("a"))
        configure_logs(log, level=logging.WARNING)
        screen.welcome(len(turns))
        try:
            stage = _set_up(program, folder, console, stop, closing)
            screen.page(stage.addresses)
            code = _play(stage, turns, screen)
            if not exit_after and not _stay_up(stage, screen):
                code = FAILED
        except StoppedError:
            code = STOPPED
        screen.stopping()
        return code


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """Set an event on Ctrl-C and its like, however often: nothing is ever cut off half-way."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _set_up(
    program: Path, folder: Path, console: Console, stop: threading.Event, closing: ExitStack
) -> Stage:
    """Start broker, worker and sink and open the two apps; raises StoppedError."""
    addresses = find_addresses()
    configuration = write_configuration(folder, addresses)
    programs = Programs(folder)
    closing.callback(programs.stop)
    programs.start("broker", broker_command(program, addresses.broker))
    kafka = KafkaConfig(bootstrap=(addresses.broker,), group="demo-erp", client={})
    changes = until_reachable(lambda: producer(kafka), stop)
    if changes is None:
        raise StoppedError
    closing.callback(close_producer, changes, 2.0)
    erp, crm = Erp(folder / "erp.db", changes), Crm(folder / "crm.db")
    closing.callback(erp.close)
    closing.callback(crm.close)
    http = closing.enter_context(httpx2.Client(timeout=2))
    stage = Stage(erp, crm, programs, addresses, configuration, console, http, stop)
    stage.instep("topics", "create", "--sources", "--partitions", "2", "--replication", "1")
    for name in ("worker", "sink"):
        programs.start(name, [*INSTEP, name, "-c", str(configuration)])
    return stage


def _play(stage: Stage, turns: Sequence[Turn], screen: Screen) -> int:
    """Play turn after turn until one goes wrong; raises StoppedError."""
    started_s = time.monotonic()
    played: list[Played] = []
    try:
        if not stage.wait_for(stage.ready, _READY_WITHIN_S):
            screen.problem("Worker and sink are not up in time.")
        else:
            for number, turn in enumerate(turns, 1):
                screen.turn(number, len(turns), turn)
                played.append(_play_turn(stage, turn, screen))
                if played[-1].wrong:
                    break
    except (ProgramEndedError, CommandFailedError) as error:
        screen.problem(f"The story cannot go on: {error}")
    screen.summary(played, turns, time.monotonic() - started_s)
    good = len(played) == len(turns) and not any(each.wrong for each in played)
    if not good:
        screen.logs(stage.programs.log_tails(_LOG_LINES))
    screen.addresses(stage.addresses)
    return DONE if good else FAILED


def _play_turn(stage: Stage, turn: Turn, screen: Screen) -> Played:
    """Do what a turn does, wait for what it must lead to, and show the list of what is wrong."""
    started_s = time.monotonic()
    turn.play(stage)
    seen = stage.watch(turn.expected, turn.within_s)
    wrong = list(differences(turn.expected, seen))
    played = Played(turn, summary(turn.expected, seen), wrong, time.monotonic() - started_s)
    screen.played(played)
    stage.show("errors", "list")
    return played


def _stay_up(stage: Stage, screen: Screen) -> bool:
    """Wait for Ctrl-C; False when a program ended before that."""
    screen.look_around(stage.configuration, stage.addresses)
    try:
        stage.wait_for(lambda: False, float("inf"))
    except ProgramEndedError as error:
        screen.problem(str(error))
        return False
    except StoppedError:
        return True
    return True
