"""What a database sets for its sessions by default changes none of our values."""

import datetime as dt
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.contract.connectors.target import Target, codes, counts, put
from tests.services.postgres import Postgres


@pytest.fixture
def encoded(postgres: Postgres, request: pytest.FixtureRequest) -> Iterator[Target]:
    """A database in another encoding than UTF-8."""
    name = f"instep_{uuid4().hex[:12]}"
    postgres.execute(
        f"create database {name} template template0 encoding '{request.param}' lc_collate 'C' lc_ctype 'C'"
    )
    target = Target("postgres", postgres.url(name))
    yield target
    for connector in target.connectors:
        connector.close()
    postgres.drop_database(name)


@pytest.mark.parametrize(
    ("encoded", "raw"),
    [("LATIN1", "éü".encode("latin-1")), ("SQL_ASCII", "éü".encode())],
    indirect=["encoded"],
)
def test_text_is_the_same_in_a_database_of_another_encoding(encoded: Target, raw: bytes) -> None:
    encoded.execute("create table customer (id int primary key, name text)")

    assert counts(encoded.open().write(put("customer", ("id", "name"), (1, "éü")))) == (1, 0, 0, 0)

    stored = "encode(convert_to(name, getdatabaseencoding()), 'hex')"
    assert encoded.rows(f"select id from customer where {stored} = '{raw.hex()}'") == [(1,)]


@pytest.mark.parametrize("encoded", ["LATIN1"], indirect=True)
def test_text_that_the_database_s_encoding_lacks_fails_its_record_alone(encoded: Target) -> None:
    encoded.execute("create table customer (id int primary key, name text)")

    answer = encoded.open().write(put("customer", ("id", "name"), (1, "é€ü"), (2, "éü")))

    assert codes(answer) == {0: "wrong_type"}
    assert encoded.rows("select id from customer") == [(2,)]


@pytest.mark.parametrize(
    ("setting", "column", "value", "shown"),
    [
        ("intervalstyle = 'sql_standard'", "interval", dt.timedelta(hours=-1), "-1 days +23:00:00"),
        ("array_nulls = off", "text[]", ["a", None], "{a,NULL}"),
    ],
)
def test_a_value_is_the_same_whatever_the_database_sets(
    pg_database: str, setting: str, column: str, value: Any, shown: str
) -> None:
    target = Target("postgres", pg_database)
    target.execute(f"create table customer (id int primary key, v {column})")
    name = pg_database.rpartition("/")[2]
    target.execute(f"alter database {name} set {setting}")
    connector = target.open()

    assert counts(connector.write(put("customer", ("id", "v"), (1, value)))) == (1, 0, 0, 0)

    connector.close()
    target.execute(f"alter database {name} reset {setting.partition(' ')[0]}")
    assert target.rows("select v::text from customer") == [(shown,)]


def test_amounts_of_money_are_written_in_our_own_form_whatever_the_database_sets(pg_database: str) -> None:
    target = Target("postgres", pg_database)
    target.execute(
        "create table customer (id int primary key, form text default current_setting('lc_monetary'))"
    )
    target.execute(f"alter database {pg_database.rpartition('/')[2]} set lc_monetary = 'C.UTF-8'")
    connector = target.open()

    connector.write(put("customer", ("id",), (1,)))

    connector.close()
    assert target.rows("select form from customer") == [("C",)]
