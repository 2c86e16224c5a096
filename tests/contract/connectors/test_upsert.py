# ruff: noqa: DTZ001  zone-less timestamps are what these tests are about
import datetime as dt
from decimal import Decimal
from uuid import UUID

import pytest

from tests.contract.connectors.target import Target, codes, counts, put, written
from worker.connectors.protocol import Connector

CUSTOMER = ("id", "name", "credit")


def make_customer(target: Target) -> None:
    target.execute(
        "create table customer (id int primary key, name varchar(20) not null, credit decimal(8,2))"
    )


def test_new_rows_are_inserted_and_counted(target: Target, connector: Connector) -> None:
    make_customer(target)

    answer = connector.write(put("customer", CUSTOMER, (1, "Ada", Decimal("1.50")), (2, "Bo", None)))

    assert counts(answer) == (2, 0, 0, 0)
    assert target.rows("select id, name, credit from customer order by id") == [
        (1, "Ada", Decimal("1.50")),
        (2, "Bo", None),
    ]


def test_rows_that_differ_are_modified_and_the_others_left_alone(
    target: Target, connector: Connector
) -> None:
    make_customer(target)
    connector.write(put("customer", CUSTOMER, (1, "Ada", None), (2, "Bo", None)))

    answer = connector.write(put("customer", CUSTOMER, (1, "Ada", None), (2, "Bob", None), (3, "Cy", None)))

    assert counts(answer) == (1, 1, 1, 0)


def test_a_change_of_case_or_of_trailing_blanks_is_a_change(target: Target, connector: Connector) -> None:
    make_customer(target)
    connector.write(put("customer", CUSTOMER, (1, "ada", None), (2, "bo", None)))

    assert counts(connector.write(put("customer", CUSTOMER, (1, "Ada", None), (2, "bo ", None)))) == (
        0,
        2,
        0,
        0,
    )


def test_a_null_replaces_a_value_and_a_value_a_null(target: Target, connector: Connector) -> None:
    make_customer(target)
    connector.write(put("customer", CUSTOMER, (1, "Ada", Decimal(1)), (2, "Bo", None)))

    answer = connector.write(put("customer", CUSTOMER, (1, "Ada", None), (2, "Bo", Decimal(2))))

    assert counts(answer) == (0, 2, 0, 0)
    assert target.rows("select credit from customer order by id") == [(None,), (2,)]


def test_deletes_are_counted_and_an_absent_record_is_unchanged(target: Target, connector: Connector) -> None:
    make_customer(target)
    connector.write(put("customer", CUSTOMER, (1, "Ada", None)))

    assert counts(connector.write(put("customer", CUSTOMER, deletes=[(1,), (9,)]))) == (0, 0, 1, 1)
    assert target.rows("select * from customer") == []


def test_deletes_come_before_upserts(target: Target, connector: Connector) -> None:
    target.execute("create table customer (id int primary key, email varchar(20) unique)")
    connector.write(put("customer", ("id", "email"), (1, "a@x")))

    answer = connector.write(put("customer", ("id", "email"), (2, "a@x"), deletes=[(1,)]))

    assert counts(answer) == (1, 0, 0, 1)


def test_composite_keys_are_upserted_and_deleted(target: Target, connector: Connector) -> None:
    target.execute(
        "create table line (doc varchar(10) not null, no int not null, qty int, primary key (doc, no))"
    )
    columns, key = ("doc", "no", "qty"), ("doc", "no")
    connector.write(put("line", columns, ("A", 1, 5), ("A", 2, 6), ("B", 1, 7), key=key))

    answer = connector.write(
        put("line", columns, ("A", 2, 60), ("B", 2, 8), key=key, deletes=[("A", 1), ("C", 9)])
    )

    assert counts(answer) == (1, 1, 1, 1)
    assert target.rows("select doc, no, qty from line order by doc, no") == [
        ("A", 2, 60),
        ("B", 1, 7),
        ("B", 2, 8),
    ]


def test_a_key_that_is_not_the_primary_key_works(target: Target, connector: Connector) -> None:
    serial = {"postgres": "serial", "mariadb": "int auto_increment", "sqlite": "integer"}[target.dialect]
    target.execute(
        f"create table customer (no {serial} primary key, code varchar(9) not null unique, name varchar(9))"
    )
    columns, key = ("code", "name"), ("code",)
    connector.write(put("customer", columns, ("a", "Ada"), ("b", "Bo"), key=key))

    assert counts(
        connector.write(put("customer", columns, ("a", "Ada"), ("b", "Bob"), ("c", "Cy"), key=key))
    ) == (1, 1, 1, 0)


def test_columns_left_out_keep_their_value_or_take_their_default(
    target: Target, connector: Connector
) -> None:
    target.execute(
        "create table customer (id int primary key, name varchar(20), state varchar(9) default 'new')"
    )
    connector.write(put("customer", ("id", "name", "state"), (1, "Ada", "old")))

    connector.write(put("customer", ("id", "name"), (1, "Eve"), (2, "Bo")))

    assert target.rows("select id, name, state from customer order by id") == [
        (1, "Eve", "old"),
        (2, "Bo", "new"),
    ]


def test_a_required_column_left_out_hinders_new_rows_alone(target: Target, connector: Connector) -> None:
    make_customer(target)
    connector.write(put("customer", CUSTOMER, (1, "Ada", None)))

    answer = connector.write(put("customer", ("id", "credit"), (1, Decimal(5)), (2, Decimal(6))))

    assert codes(answer) == {1: "required_missing"}
    assert target.rows("select id, credit from customer") == [(1, 5)]


def test_generated_columns_are_never_written(target: Target, connector: Connector) -> None:
    target.execute(
        "create table line (id int primary key, qty int, twice int generated always as (qty * 2) stored)"
    )

    answer = connector.write(put("line", ("id", "qty", "twice"), (1, 4, 99)))

    assert counts(answer) == (1, 0, 0, 0)
    assert target.rows("select twice from line") == [(8,)]


def test_strange_names_work(target: Target, connector: Connector) -> None:
    target.execute('create table "Order %s; --" ("select" int primary key, "a b%" varchar(9), "ü?:x" int)')

    answer = connector.write(put("Order %s; --", ("select", "a b%", "ü?:x"), (1, "x", 2), key=("select",)))

    assert counts(answer) == (1, 0, 0, 0)
    assert counts(
        connector.write(put("Order %s; --", ("select", "a b%"), (1, "y"), key=("select",), deletes=[(5,)]))
    ) == (0, 1, 1, 0)


def test_a_table_that_refers_to_itself_takes_parents_and_children_in_any_order(
    target: Target, connector: Connector
) -> None:
    target.execute(
        "create table person (id int primary key, boss int references person (id))", *_own_key(target)
    )
    rows = [(number, number + 1 if number < 300 else None) for number in range(1, 301)]

    assert counts(connector.write(put("person", ("id", "boss"), *rows))) == (300, 0, 0, 0)
    assert counts(
        connector.write(put("person", ("id", "boss"), deletes=[(n,) for n in range(300, 0, -1)]))
    ) == (0, 0, 0, 300)


def _own_key(target: Target) -> list[str]:
    # MariaDB reads REFERENCES behind a column since 10.5; older MySQL ignores it.
    return []


def test_values_of_every_kind_arrive_exactly(target: Target, connector: Connector) -> None:
    target.execute(
        "create table thing (id bigint primary key, ratio DOUBLE, amount decimal(12,4), born date, at TIMESTAMP, "
        "seen INSTANT, uid uuid, pic BYTES, note text, started time)"
    )
    instant = dt.datetime(2026, 11, 23, 4, 5, 6, 789, tzinfo=dt.UTC)
    uid = UUID("00112233-4455-6677-8899-aabbccddeeff")
    row = (
        2**53 + 1, 0.1, Decimal("12345678.9012"), dt.date(1, 1, 2), dt.datetime(2026, 1, 2, 3, 4, 5, 6), instant,
        uid, b"\x00'\\\n\xff", "tab\tquote'\"back\\slash\n\r%s ü 🐘", dt.time(23, 59, 58),
    )  # fmt: skip
    columns = ("id", "ratio", "amount", "born", "at", "seen", "uid", "pic", "note", "started")

    assert counts(connector.write(put("thing", columns, row))) == (1, 0, 0, 0)
    assert counts(connector.write(put("thing", columns, row))) == (0, 0, 1, 0)
    (found,) = target.rows("select id, ratio, amount, born, at, seen, uid, pic, note, started from thing")
    assert found[:2] == (2**53 + 1, 0.1)
    assert str(found[2]) == "12345678.9012"
    assert str(found[3]) == "0001-01-02"
    assert str(found[4]) == "2026-01-02 03:04:05.000006"
    assert str(found[5]).startswith("2026-11-23 04:05:06.000789")
    assert str(found[6]) == str(uid)
    assert found[7:9] == row[7:9]
    assert str(found[9]) == "23:59:58"


def test_naive_and_zoned_timestamps_are_read_as_utc(target: Target, connector: Connector) -> None:
    target.execute("create table thing (id int primary key, at TIMESTAMP, seen INSTANT)")
    east = dt.timezone(dt.timedelta(hours=2))
    rows = [
        (1, dt.datetime(2026, 1, 2, 5, tzinfo=east), dt.datetime(2026, 1, 2, 3)),
        (2, dt.datetime(2026, 1, 2, 3), dt.datetime(2026, 1, 2, 5, tzinfo=east)),
    ]

    connector.write(put("thing", ("id", "at", "seen"), *rows))

    first, second = target.rows("select at, seen from thing order by id")
    assert first == second
    assert str(first[0]).startswith("2026-01-02 03:00:00")
    assert str(first[1]).startswith("2026-01-02 03:00:00")


def test_json_is_written_as_json(target: Target, connector: Connector) -> None:
    target.execute("create table thing (id int primary key, extra json)")

    connector.write(
        put("thing", ("id", "extra"), (1, {"a": [1, None, "ü"], "n": Decimal(3)}), (2, '{"b": 1}'))
    )

    texts = [str(row[0]) for row in target.rows("select extra from thing order by id")]
    assert texts[0].replace("'", '"').replace(" ", "").replace("None", "null") == '{"a":[1,null,"ü"],"n":3}'


def test_an_empty_write_does_nothing(target: Target, connector: Connector) -> None:
    make_customer(target)

    assert counts(connector.write(put("customer", CUSTOMER))) == (0, 0, 0, 0)


def test_zero_is_a_key_like_any_other(target: Target, connector: Connector) -> None:
    serial = {"postgres": "serial", "mariadb": "int auto_increment", "sqlite": "integer"}[target.dialect]
    target.execute(f"create table customer (id {serial} primary key, name varchar(9))")

    connector.write(put("customer", ("id", "name"), (0, "zero")))

    assert target.rows("select id from customer") == [(0,)]


def test_two_thousand_rows_go_in_one_write_without_splitting(target: Target, connector: Connector) -> None:
    make_customer(target)

    answer = written(connector.write(put("customer", CUSTOMER, *((n, f"n{n}", None) for n in range(2000)))))

    assert (answer.inserted, answer.splits) == (2000, 0)


# PostgreSQL holds no NUL character
@pytest.mark.parametrize("target", ["mariadb", "sqlite"], indirect=True)
def test_a_key_with_a_nul_character_is_counted_like_any_other(target: Target, connector: Connector) -> None:
    target.execute("create table customer (code varchar(9) primary key, name varchar(9))")
    rows = [("a\0b", "Ada"), ("x", "Bo")]

    assert counts(connector.write(put("customer", ("code", "name"), *rows, key=("code",)))) == (2, 0, 0, 0)
    assert counts(connector.write(put("customer", ("code", "name"), *rows, key=("code",)))) == (0, 0, 2, 0)


# a trigger of MariaDB cannot leave a row out
@pytest.mark.parametrize("target", ["postgres", "sqlite"], indirect=True)
def test_a_row_that_a_trigger_leaves_out_counts_as_unchanged(target: Target, connector: Connector) -> None:
    make_customer(target)
    connector.write(put("customer", CUSTOMER, (1, "Ada", None)))
    target.execute(*LEAVING_OUT[target.dialect])

    answer = connector.write(put("customer", CUSTOMER, (1, "Eve", None), (2, "old", None), (3, "Cy", None)))

    assert counts(answer) == (1, 1, 1, 0)


LEAVING_OUT = {
    "postgres": (
        (
            "create function leave_out() returns trigger language plpgsql as $$ begin "
            "if new.name = 'old' then return null; end if; return new; end $$"
        ),
        "create trigger leave_out before insert on customer for each row execute function leave_out()",
    ),
    "sqlite": (
        "create trigger leave_out before insert on customer when new.name = 'old' begin select raise(ignore); end",
    ),
}


@pytest.mark.parametrize("target", ["sqlite"], indirect=True)
def test_a_row_that_a_rule_of_the_table_leaves_out_counts_as_unchanged(
    target: Target, connector: Connector
) -> None:
    target.execute("create table customer (id int primary key, code varchar(9) unique on conflict ignore)")
    connector.write(put("customer", ("id", "code"), (1, "a")))

    assert counts(connector.write(put("customer", ("id", "code"), (2, "a"), (3, "c")))) == (1, 0, 1, 0)
