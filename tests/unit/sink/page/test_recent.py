from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import cast

import pytest
from sqlalchemy import Connection

from sink.store.store import Store
from sink.web.recent import AT_MOST_US, Recent


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
    now_us: int = 50 * AT_MOST_US
    recent: Recent = field(init=False)

    def __post_init__(self) -> None:
        self.recent = Recent(cast(Store, self.store), lambda: self.now_us)

    def ask(self, name: str = "counts") -> int:
        def read(_: Connection, now_us: int) -> int:
            return now_us

        return self.recent.read(name, read)


def test_those_who_ask_within_a_second_share_one_answer() -> None:
    page = _Page()
    first = page.ask()
    page.now_us += AT_MOST_US - 1
    assert page.ask() == first
    assert page.store.asked == 1


def test_an_answer_of_a_second_ago_is_read_anew() -> None:
    page = _Page()
    first = page.ask()
    page.now_us += AT_MOST_US
    assert page.ask() == first + AT_MOST_US


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
    page.now_us -= 10 * AT_MOST_US
    assert page.ask() == page.now_us


def test_answers_of_different_names_are_kept_apart() -> None:
    page = _Page()
    page.ask()
    page.now_us += 1
    assert page.ask("others") == page.now_us


def test_a_store_that_is_away_is_not_hidden_by_an_older_answer() -> None:
    page = _Page()
    page.ask()
    page.now_us += AT_MOST_US

    def away(_: Connection, now_us: int) -> int:
        raise ConnectionError(now_us)

    with pytest.raises(ConnectionError):
        page.recent.read("counts", away)
    assert page.ask() == page.now_us
