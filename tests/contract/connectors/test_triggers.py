"""Triggers that complete a row before the table's rules look at it: what is written counts, not what was sent."""

# ruff: noqa: ISC004  statements too long for a line

from uuid import uuid4

import pytest
from sqlalchemy import make_url

from tests.contract.connectors.target import Target, codes, put, written
from worker.connectors.protocol import Connector

COLUMNS = ("id", "code", "qty", "parent")
DDL = (
    "create table parent (id int primary key)",
    "insert into parent values (1)",
    "create table thing (id int primary key, code varchar(9) not null, qty int, parent int, "
    "constraint ck_qty check (qty <> 13), constraint ck_code check (code <> 'a'), "
    "constraint fk_parent foreign key (parent) references parent (id))",
)
MAKES_PARENT = {
    "postgres": (
        "create function complete() returns trigger language plpgsql as "
        "$$ begin insert into parent values (new.parent) on conflict do nothing; return new; end $$",
        "create trigger complete before insert on thing for each row execute function complete()",
    ),
    "mariadb": (
        "create trigger complete before insert on thing for each row insert ignore into parent values (new.parent)",
    ),
    "sqlite": (
        "create trigger complete before insert on thing begin insert or ignore into parent values (new.parent); end",
    ),
}
SETS_CODE = {
    "postgres": (
        "create function complete() returns trigger language plpgsql as "
        "$$ begin new.code := concat('x', new.code); return new; end $$",
        "create trigger complete before insert on thing for each row execute function complete()",
    ),
    "mariadb": (
        "create trigger complete before insert on thing for each row set new.code = concat('x', coalesce(new.code, ''))",
    ),
}


@pytest.mark.parametrize("isolate", [False, True])
def test_a_parent_that_a_trigger_makes_is_no_missing_one(
    target: Target, connector: Connector, isolate: bool
) -> None:
    target.execute(*DDL, *MAKES_PARENT[target.dialect])
    rows = [(1, "b", 1, 10), (2, "b", 13, 1), (3, "b", 1, 30)]

    answer = connector.write(put("thing", COLUMNS, *rows), isolate=isolate)

    assert codes(answer) == {1: "rejected_by_app"}
    assert target.rows("select id from thing order by id") == [(1,), (3,)]


@pytest.mark.parametrize("isolate", [False, True])
def test_a_rule_that_a_trigger_makes_a_row_follow_is_not_broken(server: Target, isolate: bool) -> None:
    server.execute(*DDL, *SETS_CODE[server.dialect])
    rows = [(1, "a", 1, 1), (2, "a", 13, 1), (3, "a", 1, 1)]

    answer = server.open().write(put("thing", COLUMNS, *rows), isolate=isolate)

    assert codes(answer) == {1: "rejected_by_app"}
    assert written(answer).row_faults[1].parameters["constraint"] == "ck_qty"
    assert server.rows("select id, code from thing order by id") == [(1, "xa"), (3, "xa")]


def test_a_trigger_that_we_may_not_see_is_noticed_by_what_it_does(mariadb_database: str) -> None:
    target = Target("mariadb", mariadb_database)
    target.execute(*DDL, *SETS_CODE["mariadb"])
    name, database = f"u{uuid4().hex[:10]}", make_url(mariadb_database).database
    target.execute(
        f"create user {name}@'%' identified by 'hush'",
        f"grant select, insert, update, delete, create temporary tables on {database}.* to {name}@'%'",
    )
    url = make_url(mariadb_database).set(username=name, password="hush").render_as_string(hide_password=False)
    connector = target.open(url)
    rows = [(1, "a", 1, 1), (2, "a", 13, 1), (3, "a", 1, 1)]

    answer = written(connector.write(put("thing", COLUMNS, *rows)))

    connector.close()
    target.execute(f"drop user {name}@'%'")
    assert codes(answer) == {1: "rejected_by_app"}
    assert (answer.inserted, answer.unchanged) == (2, 0)


@pytest.mark.parametrize("bad", [False, True])
def test_a_null_that_a_trigger_fills_is_none(server: Target, bad: bool) -> None:
    server.execute(*DDL, *SETS_CODE[server.dialect])
    rows = [(1, None, 1, 1), (2, None, 13 if bad else 1, 1)]

    answer = server.open().write(put("thing", COLUMNS, *rows))

    assert codes(answer) == ({1: "rejected_by_app"} if bad else {})
    assert server.rows("select code from thing where id = 1") == [("x",)]


def test_a_null_key_is_refused_beforehand_whatever_a_trigger_does(server: Target) -> None:
    server.execute(*DDL, *SETS_CODE[server.dialect])

    answer = server.open().write(put("thing", COLUMNS, (None, "b", 1, 1), (2, "b", 1, 1)))

    assert codes(answer) == {0: "required_missing"}
    assert written(answer).splits == 0
