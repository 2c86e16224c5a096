"""At what pace the sink does its chores."""

import threading
from math import inf

import pytest
from sqlalchemy.exc import OperationalError

from sink.chores import Chore, run_chores
from sink.health import Pulse


def test_chore_that_is_done_once_a_run_is_tried_again_until_it_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sink.chores._AGAIN_S", 0)
    stop = threading.Event()
    tries: list[None] = []
    rounds = iter(range(5))

    def locked_at_first() -> None:
        tries.append(None)
        if len(tries) < 3:
            raise OperationalError("select", None, Exception("the database is locked"))

    def stop_in_the_end() -> None:
        if next(rounds) == 4:
            stop.set()

    run_chores(
        "chores", [Chore("once", inf, locked_at_first), Chore("others", 0, stop_in_the_end)], Pulse({}), stop
    )
    assert len(tries) == 3
