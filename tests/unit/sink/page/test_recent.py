from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from sink.store.store import Store
from sink.web.recent import FRESH_US, KEPT_US, Recent


@dataclass
class _Store:
    """Counts how often it is asked."""

    writes: int = 0
    asked: int = 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        self.asked += 1
        yield


@dataclass
class _Page:
    store: _Store = field(default_factory=_Store)
    now_us: int = 50 * KEPT_US
    later: list[Callable[[], None]] = field(default_factory=list)
    recent: Recent = field(init=False)

    def __post_init__(self) -> None:
        self.recent = Recent(cast(Store, self.store), lambda: self.now_us, self.later.append)

    def ask(self, name: str = "counts") -> int:
        def read(_: Connection, now_us: int) -> int:
            return now_us

        return self.recent.read(name, read)


def test_those_who_ask_within_a_second_share_one_answer() -> None:
    page = _Page()
    first = page.ask()
    page.now_us += FRESH_US - 1
    assert page.ask() == first
    assert page.later == []
    assert page.store.asked == 1


def test_who_asks_after_a_second_gets_the_last_answer_while_it_is_read_anew() -> None:
    page = _Page()
    first = page.ask()
    page.now_us += FRESH_US
    assert page.ask() == first
    page.later.pop()()
    assert page.ask() == first + FRESH_US
    assert page.store.asked == 2


def test_an_answer_is_read_anew_once_however_many_ask() -> None:
    page = _Page()
    page.ask()
    page.now_us += FRESH_US
    page.ask()
    page.ask()
    assert len(page.later) == 1


def test_an_answer_that_nobody_asked_for_lately_is_not_given() -> None:
    page = _Page()
    page.ask()
    page.now_us += KEPT_US
    assert page.ask() == page.now_us
    assert page.later == []


def test_a_store_that_is_away_for_a_moment_keeps_nothing_from_being_read_anew_later() -> None:
    page = _Page()

    def away(_: Connection, now_us: int) -> int:
        raise OperationalError("select", None, ConnectionError(now_us))

    page.ask()
    page.now_us += FRESH_US
    page.recent.read("counts", away)
    page.later.pop()()
    page.ask()
    assert len(page.later) == 1


def test_who_acts_sees_it_at_once() -> None:
    page = _Page()
    page.ask()
    page.now_us += 1
    page.store.writes += 1
    assert page.ask() == page.now_us


def test_what_was_written_while_it_was_read_makes_it_old() -> None:
    page = _Page()

    def read(_: Connection, now_us: int) -> int:
        page.store.writes += 1
        return now_us

    page.recent.read("counts", read)
    page.ask()
    assert page.store.asked == 2


def test_a_clock_that_was_set_back_keeps_no_answer_for_long() -> None:
    page = _Page()
    page.ask()
    page.now_us -= 10 * KEPT_US
    assert page.ask() == page.now_us


def test_answers_of_different_names_are_kept_apart() -> None:
    page = _Page()
    page.ask()
    page.now_us += 1
    assert page.ask("others") == page.now_us


def test_a_store_that_is_away_is_not_hidden_by_an_older_answer() -> None:
    page = _Page()
    page.ask()
    page.now_us += KEPT_US

    def away(_: Connection, now_us: int) -> int:
        raise ConnectionError(now_us)

    with pytest.raises(ConnectionError):
        page.recent.read("counts", away)
    assert page.ask() == page.now_us
