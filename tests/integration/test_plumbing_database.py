import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from plumbing.database import READ_ONLY, open_engine, unreachable_reason


def scalar(engine: Engine, statement: str) -> object:
    with engine.connect() as connection:
        return connection.execute(text(statement)).scalar()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path}/store.db")
    yield engine
    engine.dispose()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[tuple[Engine, Engine]]:
    """Two processes' engines of one file."""
    first, second = (open_engine(f"sqlite:///{tmp_path}/store.db") for _ in range(2))
    yield first, second
    first.dispose()
    second.dispose()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("foreign_keys", 1), ("busy_timeout", 10_000), ("synchronous", 1)],
)
def test_sqlite_is_set_up_for_several_processes(sqlite: Engine, pragma: str, value: object) -> None:
    assert scalar(sqlite, f"pragma {pragma}") == value


def test_two_writers_of_sqlite_wait_for_each_other(two: tuple[Engine, Engine]) -> None:
    """Both read before they write, which without a rule for who begins fails for one of them."""
    first, second = two
    with first.begin() as connection:
        connection.execute(text("create table counter (n integer)"))
        connection.execute(text("insert into counter values (0)"))

    def count(engine: Engine) -> None:
        for _ in range(50):
            with engine.begin() as connection:
                n = connection.execute(text("select n from counter")).scalar_one()
                connection.execute(text("update counter set n = :n"), {"n": n + 1})

    threads = [threading.Thread(target=count, args=(engine,)) for engine in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert scalar(first, "select n from counter") == 100


def test_a_reader_of_sqlite_keeps_nobody_from_writing(two: tuple[Engine, Engine]) -> None:
    reader, writer = two
    with writer.begin() as connection:
        connection.execute(text("create table entry (n integer)"))

    with reader.connect().execution_options(**{READ_ONLY: True}) as reading:
        assert reading.execute(text("select count(*) from entry")).scalar() == 0
        with writer.begin() as connection:
            connection.execute(text("insert into entry values (1)"))

    assert scalar(writer, "select count(*) from entry") == 1


def test_tables_of_sqlite_are_made_in_a_transaction(sqlite: Engine) -> None:
    with pytest.raises(OperationalError), sqlite.begin() as connection:  # noqa: PT012  both statements are the transaction
        connection.execute(text("create table made (n integer)"))
        connection.execute(text("no sql"))

    assert scalar(sqlite, "select count(*) from sqlite_master") == 0


def test_errors_show_no_values(sqlite: Engine) -> None:
    with pytest.raises(DBAPIError) as error, sqlite.connect() as connection:
        connection.execute(text("select * from nowhere where a = :a"), {"a": "hunter2"})

    assert "hunter2" not in str(error.value)


def test_postgresql_is_in_utc_and_knows_our_name(pg_database: str) -> None:
    engine = open_engine(SecretStr(pg_database), name="instep-test")

    assert scalar(engine, "show timezone") == "UTC"
    assert scalar(engine, "show application_name") == "instep-test"
    engine.dispose()


def test_mariadb_is_in_utc(mariadb_database: str) -> None:
    engine = open_engine(mariadb_database)

    assert scalar(engine, "select @@session.time_zone") == "+00:00"
    engine.dispose()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2@127.0.0.1:1/d",
        "mysql://u:hunter2@127.0.0.1:1/d",
        "sqlite:////nowhere/at/all.db",
    ],
)
def test_a_database_that_is_away_is_told_in_one_line_without_its_password(url: str) -> None:
    engine = open_engine(url)

    with pytest.raises(DBAPIError) as error:
        engine.connect()

    reason = unreachable_reason(error.value)
    assert reason
    assert "\n" not in reason
    assert "hunter2" not in reason


def upgrade_at_once(
    upgrade: Callable[[Engine], tuple[str | None, str | None]], url: str
) -> list[tuple[str | None, str | None]]:
    answers: list[tuple[str | None, str | None]] = []
    engines = [open_engine(url) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda engine=engine: answers.append(upgrade(engine))) for engine in engines
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for engine in engines:
        engine.dispose()
    return answers


@pytest.mark.parametrize("store", ["worker.state.migrate", "sink.store.migrate"])
@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_several_processes_upgrade_a_store_once(
    store: str, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    migrate = import_module(store)
    url = request.getfixturevalue("pg_database") if kind == "postgresql" else f"sqlite:///{tmp_path}/store.db"

    answers = upgrade_at_once(migrate.upgrade, url)

    engine = open_engine(url)
    newest = migrate.versions(engine)[1]
    engine.dispose()
    assert sorted(answers, key=str) == sorted([(None, newest), *[(newest, newest)] * 3], key=str)
