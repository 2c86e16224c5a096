"""How a process learns that it should end."""

import os
import signal
import threading
from types import FrameType


def stop_on_signals() -> threading.Event:
    """Return an event that SIGTERM or SIGINT sets; a second one ends the process at once, with the usual 128 + signal."""
    stop = threading.Event()

    def received(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, received)
    return stop
