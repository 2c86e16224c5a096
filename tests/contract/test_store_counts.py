"""The counts that the database keeps equal a recount, whatever is done, on PostgreSQL and on SQLite."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import func, select

from plumbing.alembic_upgrade import one_at_a_time
from schemas.catalogue import Fixer
from schemas.config.process import RetentionConfig
from sink import actions
from sink.actions import Actor, clearable
from sink.bookkeeper import Bookkeeper
from sink.janitor import Janitor
from sink.moment import to_us
from sink.states import Action, State
from sink.store import tables
from sink.store.counts import NAMES, counted
from sink.store.entries import Entry, Filter
from sink.store.store import Store
from sink.store.tally import MappingCount, read_overview
from sink.store.transitions import close_by_hand
from tests.contract.stored import NOW, entries, replayed, request, told
from tests.sink_events import at, failed, resolved

ANN = Actor("ann", "cli")


def kept(store: Store) -> Counter[tuple[str, ...]]:
    """The counts as the database keeps them."""
    counts = counted()
    columns = [counts.c[each] for each in NAMES]
    with store.reading() as connection:
        rows = connection.execute(select(*columns, func.sum(counts.c.entries)).group_by(*columns)).all()
    numbers = Counter({tuple(row[:-1]): int(row[-1]) for row in rows})
    assert min(numbers.values(), default=0) >= 0
    return +numbers


def recounted(store: Store) -> Counter[tuple[str, ...]]:
    columns = [tables.entry.c[each] for each in NAMES]
    with store.reading() as connection:
        rows = connection.execute(select(*columns, func.count()).group_by(*columns)).all()
    return Counter({tuple(row[:-1]): row[-1] for row in rows})


class Life:
    """Random things done to a store, the same for the same seed."""

    def __init__(self, store: Store, folder: Path, seed: int) -> None:
        self.store, self.folder = store, folder
        self.chance = random.Random(seed)
        self.offset = 0

    def step(self) -> None:
        steps: list[Callable[[], None]] = [
            self.fail,
            self.fail,
            self.resolve,
            self.ask,
            self.close,
            self.keep_books,
        ]
        self.chance.choice([*steps, self.age_out, self.clear_and_restore, self.discard_sql])()

    def fail(self) -> None:
        events = []
        for _ in range(self.chance.randint(1, 12)):
            self.offset += 1
            record, code = (
                f"C{self.chance.randint(0, 30)}",
                self.chance.choice(["too_long", "wrong_type", "timeout"]),
            )
            retry_s = self.chance.choice([None, 5.0])
            events.append(
                failed(record, self.offset, code=code, retry_s=retry_s, mapping=self.chance.choice("ab"))
            )
        told(self.store, *events)

    def resolve(self) -> None:
        found = self.some()
        if found:
            told(
                self.store,
                *(
                    resolved(failed(e.record_id, e.position.offset, mapping=e.mapping))
                    for e in found
                    if e.position is not None
                ),
            )

    def ask(self) -> None:
        found = self.some()
        number = self.chance.random()
        replayed(self.store, *(e.id for e in found), asks=request(f"ann{number}"))

    def close(self) -> None:
        ids = [e.id for e in self.some()]
        with self.store.writing() as connection:
            action = self.chance.choice([Action.RESOLVE, Action.DISCARD])
            close_by_hand(connection, ids, action, request(f"bob{self.chance.random()}"))

    def keep_books(self) -> None:
        books = Bookkeeper(self.store, lambda: NOW)
        books.add_up()
        books.settle()
        books.regroup()

    def age_out(self) -> None:
        config = RetentionConfig.model_validate({"batch_rows": 5, "closed": timedelta(seconds=0)})
        Janitor(self.store, config, lambda: to_us(at(self.offset + 20_000)), threading.Event()).run()

    def clear_and_restore(self) -> None:
        path = self.folder / f"{self.chance.random()}.avro"
        actions.clear(self.store, clearable(Filter(), include_open=self.chance.random() < 0.5), path, ANN)
        if path.exists() and self.chance.random() < 0.7:
            actions.restore(self.store, path, ANN)

    def discard_sql(self) -> None:
        """A transaction that ends in nothing."""
        with self.store.engine.connect() as connection:
            connection.execute(tables.entry.update().values(state=State.DISCARDED))
            connection.rollback()

    def some(self) -> list[Entry]:
        found = entries(self.store)
        return self.chance.sample(found, self.chance.randint(0, min(6, len(found))))


@pytest.mark.parametrize("seed", range(3))
def test_counts_equal_a_recount_whatever_is_done(store: Store, tmp_path: Path, seed: int) -> None:
    life = Life(store, tmp_path, seed)
    for _ in range(40):
        life.step()
        assert kept(store) == recounted(store)


def test_noted_changes_are_added_up_once(store: Store) -> None:
    told(store, *(failed(f"C{n}", n) for n in range(10)))
    before = kept(store)
    books = Bookkeeper(store, lambda: NOW)
    books.add_up()
    assert books.add_up() == 0
    assert kept(store) == before == recounted(store)


def test_several_sinks_that_add_up_at_once_lose_nothing(store: Store) -> None:
    told(store, *(failed(f"C{n}", n) for n in range(50)))
    stop = threading.Event()

    def add_up() -> None:
        while not stop.is_set():
            Bookkeeper(store, lambda: NOW).add_up()

    threads = [threading.Thread(target=add_up) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(15):
        told(store, *(failed(f"C{m}", 100 + n * 50 + m, code=f"code{n % 3}") for m in range(0, 50, 7)))
    stop.set()
    for thread in threads:
        thread.join()
    assert kept(store) == recounted(store)


def test_counts_that_are_empty_go(store: Store) -> None:
    told(store, failed(), resolved(failed()))
    told(store, failed("C002", 5), resolved(failed("C002", 5)))
    told(store, failed(offset=9))
    books = Bookkeeper(store, lambda: NOW)
    books.add_up()
    told(store, resolved(failed(offset=9)))
    books.add_up()
    books.settle()
    with store.reading() as connection:
        assert [row.state for row in connection.execute(select(tables.tally))] == [State.RESOLVED]


def test_entries_from_before_the_counts_are_counted(store: Store) -> None:
    told(store, *(failed(f"C{n}", n) for n in range(4)))
    config = Config()
    config.set_main_option("script_location", "sink:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["version_table"] = tables.VERSION_TABLE
    with one_at_a_time, store.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0002")
        command.upgrade(config, "head")
    assert kept(store) == recounted(store)
    assert kept(store).total() == 4
    assert Bookkeeper(store, lambda: NOW).regroup() == 4


def test_overview_tells_whose_the_open_entries_are(store: Store) -> None:
    told(
        store,
        failed("C001", 1),
        failed("C002", 2, code="login_failed", category="setup", mapping="contacts"),
        failed("C003", 3, code="timeout", category="transient", retry_s=5),
        failed("C004", 4),
        resolved(failed("C004", 4)),
    )
    with store.reading() as connection:
        overview = read_overview(connection, NOW)
    assert overview.states == {State.OPEN: 2, State.WAITING: 1, State.RESOLVED: 1}
    assert overview.fixers == {Fixer.USER: 1, Fixer.ADMIN: 1, Fixer.NOBODY: 1}
    first, second = (to_us(failed("C", n).first_failed_at) for n in (1, 2))
    assert overview.mappings == (
        MappingCount("contacts", 1, 0, second),
        MappingCount("customers", 2, 1, first),
    )
    assert (overview.relevant, overview.oldest_us) == (3, first)
    assert sum(overview.groups.values()) == 3


def test_overview_of_an_empty_store_is_empty(store: Store) -> None:
    with store.reading() as connection:
        overview = read_overview(connection, NOW)
    assert (overview.relevant, overview.oldest_us, overview.mappings) == (0, None, ())
