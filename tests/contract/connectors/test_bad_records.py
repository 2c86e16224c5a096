"""Each way a record can be bad: alone among good ones, reported as what it is, and without its values."""

# ruff: noqa: ISC004  statements too long for a line

from decimal import Decimal
from typing import Any

import pytest

from schemas.change import FarDate, FarTimestamp, Unbounded
from tests.contract.connectors.target import Target, codes, counts, put, written
from worker.connectors.protocol import Connector, Written
from worker.fault import Fault

COLUMNS = ("id", "name", "code", "qty", "amount", "born", "at", "parent")
DDL = (
    "create table parent (id int primary key, name varchar(9))",
    "insert into parent values (1, 'one')",
    "create table thing (id int primary key, name varchar(10) not null, code varchar(20), qty smallint, "
    "amount decimal(8,2), born date, at TIMESTAMP, parent int, "
    "constraint uq_code unique (code), constraint fk_parent foreign key (parent) references parent (id), "
    "constraint ck_qty check (qty <> 13))",
    "create table part (id int primary key, thing int, constraint fk_thing foreign key (thing) references thing (id))",
)
SECRET = "hush-77"


def thing(number: int, **values: Any) -> tuple[Any, ...]:
    row = {
        "id": number,
        "name": f"n{number}",
        "code": None,
        "qty": 1,
        "amount": None,
        "born": None,
        "at": None,
        "parent": 1,
    }
    return tuple({**row, **values}.values())


@pytest.fixture
def things(target: Target) -> Target:
    target.execute(*DDL)
    return target


BAD: dict[str, tuple[dict[str, Any], str, dict[str, str]]] = {
    "text too long": ({"name": SECRET * 9}, "too_long", {"field": "name", "limit": "10", "length": "63"}),
    "null in a required column": ({"name": None}, "required_missing", {"field": "name"}),
    "integer too large": ({"qty": 40_000}, "out_of_range", {"field": "qty"}),
    "integer too small": ({"qty": -40_000}, "out_of_range", {"field": "qty"}),
    "text for a number": ({"qty": SECRET}, "wrong_type", {"field": "qty"}),
    "fraction for an integer": ({"qty": 1.5}, "wrong_type", {"field": "qty"}),
    "decimal with too many digits": ({"amount": Decimal("12345678.00")}, "out_of_range", {"field": "amount"}),
    "decimal with too many decimals": ({"amount": Decimal("1.005")}, "out_of_range", {"field": "amount"}),
    "infinite decimal": ({"amount": Decimal("Infinity")}, "out_of_range", {"field": "amount"}),
    "bytes for text": ({"name": b"\xff\xfe"}, "wrong_type", {"field": "name"}),
    "half a character": ({"name": "\ud800"}, "wrong_type", {"field": "name"}),
    "text for a date": ({"born": SECRET}, "wrong_type", {"field": "born"}),
    "no such parent": ({"parent": 99}, "reference_missing", {"parent": "parent", "columns": "parent"}),
    "value against a check": ({"qty": 13}, "rejected_by_app", {}),
    "null key": ({"id": None}, "required_missing", {"field": "id"}),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_record_alone_fails_and_the_good_ones_are_written(
    things: Target, connector: Connector, case: str
) -> None:
    values, code, parameters = BAD[case]
    rows = [thing(number) for number in range(1, 40)]
    rows[20] = thing(**{"number": 21, **values})

    answer = written(connector.write(put("thing", COLUMNS, *rows)))

    assert codes(answer) == {20: code}
    assert parameters.items() <= answer.row_faults[20].parameters.items()
    assert things.rows("select id from thing order by id") == [
        (number,) for number in range(1, 40) if number != 21
    ]
    assert_discreet(answer)


def test_decimals_with_zeros_beyond_the_scale_fit(things: Target, connector: Connector) -> None:
    rows = [thing(1, amount=Decimal("1.5000")), thing(2, amount=Decimal("1E+3"))]

    assert counts(connector.write(put("thing", COLUMNS, *rows))) == (2, 0, 0, 0)
    assert [
        str(Decimal(str(amount)).quantize(Decimal("0.01")))
        for (amount,) in things.rows("select amount from thing order by id")
    ] == ["1.50", "1000.00"]


def test_nan_in_a_decimal_is_kept_where_the_database_has_it(things: Target, connector: Connector) -> None:
    answer = written(connector.write(put("thing", COLUMNS, thing(1, amount=Decimal("NaN")), thing(2))))

    if things.dialect == "postgres":
        assert things.rows("select amount::text from thing where id = 1") == [("NaN",)]
    else:
        assert codes(answer) == {0: "out_of_range"}
        assert answer.inserted == 1


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"born": FarDate(-719_528)}, "0001-01-01 BC"),
        ({"born": Unbounded.INFINITY}, "infinity"),
        ({"at": Unbounded.NEGATIVE}, "-infinity"),
        ({"at": FarTimestamp(253_402_300_800_000_001, zoned=False)}, "10000-01-01 00:00:00.000001"),
    ],
)
def test_dates_beyond_the_calendar_are_kept_or_refused_never_changed(
    things: Target, connector: Connector, values: dict[str, Any], shown: str
) -> None:
    answer = written(connector.write(put("thing", COLUMNS, thing(1, **values), thing(2))))

    if things.dialect == "postgres":
        (column,) = values
        assert things.rows(f"select {column}::text from thing where id = 1") == [(shown,)]
    else:
        assert codes(answer) == {0: "out_of_range"}
        assert answer.inserted == 1


def test_a_nul_character_is_refused_by_postgresql_alone(things: Target, connector: Connector) -> None:
    answer = written(connector.write(put("thing", COLUMNS, thing(1, name="a\0b"), thing(2))))

    assert codes(answer) == ({0: "wrong_type"} if things.dialect == "postgres" else {})


def test_a_unique_value_of_another_row_is_a_duplicate(things: Target, connector: Connector) -> None:
    connector.write(put("thing", COLUMNS, thing(1, code="a")))

    answer = written(
        connector.write(put("thing", COLUMNS, thing(2, code="b"), thing(3, code="a"), thing(4, code="d")))
    )

    assert codes(answer) == {1: "duplicate_key"}
    assert answer.row_faults[1].parameters["columns"] == "code"
    assert things.rows("select id, code from thing order by id") == [(1, "a"), (2, "b"), (4, "d")]
    assert_discreet(answer)


def test_of_two_rows_with_one_unique_value_the_first_is_written(things: Target, connector: Connector) -> None:
    answer = connector.write(
        put("thing", COLUMNS, thing(1, code="a"), thing(2, code="a"), thing(3, code="c"))
    )

    assert codes(answer) == {1: "duplicate_key"}
    assert things.rows("select id from thing order by id") == [(1,), (3,)]


def test_no_row_is_overwritten_through_another_unique_index(things: Target, connector: Connector) -> None:
    connector.write(put("thing", COLUMNS, thing(1, code="a", name="first")))

    answer = connector.write(put("thing", COLUMNS, thing(2, code="a", name="second")))

    assert codes(answer) == {0: "duplicate_key"}
    assert things.rows("select id, name, code from thing") == [(1, "first", "a")]


def test_a_unique_value_may_move_on_within_a_write(things: Target, connector: Connector) -> None:
    connector.write(put("thing", COLUMNS, thing(1, code="a"), thing(2, code="b")))

    answer = connector.write(put("thing", COLUMNS, thing(1, code="b"), thing(2, code="c")))

    assert codes(answer) == {}
    assert things.rows("select id, code from thing order by id") == [(1, "b"), (2, "c")]


def test_a_swap_of_unique_values_goes_through_or_leaves_both_rows_as_they_were(
    things: Target, connector: Connector
) -> None:
    connector.write(put("thing", COLUMNS, thing(1, code="a"), thing(2, code="b")))

    answer = written(connector.write(put("thing", COLUMNS, thing(1, code="b"), thing(2, code="a"), thing(3))))

    found = things.rows("select id, code from thing order by id")
    if answer.row_faults:
        assert codes(answer) == {0: "duplicate_key", 1: "duplicate_key"}
        assert found == [(1, "a"), (2, "b"), (3, None)]
    else:
        assert found == [(1, "b"), (2, "a"), (3, None)]


def test_a_delete_of_a_referenced_row_fails_alone(things: Target, connector: Connector) -> None:
    connector.write(put("thing", COLUMNS, *(thing(number) for number in range(1, 6))))
    things.execute("insert into part values (1, 3)")

    answer = written(
        connector.write(put("thing", COLUMNS, thing(7), deletes=[(number,) for number in range(1, 6)]))
    )

    assert {number: fault.code for number, fault in answer.delete_faults.items()} == {2: "still_referenced"}
    assert answer.delete_faults[2].parameters["child"] == "part"
    assert (answer.deleted, answer.inserted) == (4, 1)
    assert things.rows("select id from thing order by id") == [(3,), (7,)]


def test_many_kinds_of_bad_records_at_once_are_each_reported(things: Target, connector: Connector) -> None:
    connector.write(put("thing", COLUMNS, thing(500, code="taken")))
    rows = [thing(number) for number in range(1, 200)]
    rows[10], rows[50] = thing(11, name="x" * 99), thing(51, parent=7)
    rows[51], rows[90], rows[120] = thing(52, qty=13), thing(91, code="taken"), thing(121, name=None)

    answer = connector.write(put("thing", COLUMNS, *rows))

    assert codes(answer) == {
        10: "too_long", 50: "reference_missing", 51: "rejected_by_app", 90: "duplicate_key", 120: "required_missing",
    }  # fmt: skip
    assert things.rows("select count(*) from thing") == [(195,)]


# SQLite cannot alter the type of a column
@pytest.mark.parametrize("target", ["postgres", "mariadb"], indirect=True)
def test_a_column_that_was_widened_takes_the_value_at_once(things: Target, connector: Connector) -> None:
    assert codes(connector.write(put("thing", COLUMNS, thing(1, name="x" * 15)))) == {0: "too_long"}
    change = {"postgres": "alter column name type varchar(30)", "mariadb": "modify name varchar(30) not null"}
    things.execute(f"alter table thing {change[things.dialect]}")

    assert codes(connector.write(put("thing", COLUMNS, thing(1, name="x" * 15)))) == {}


def test_a_rule_of_a_trigger_fails_its_record_alone_and_names_no_value(
    things: Target, connector: Connector
) -> None:
    things.execute(*TRIGGERS[things.dialect])
    rows = [thing(1), thing(2, name=SECRET), thing(3)]

    answer = written(connector.write(put("thing", COLUMNS, *rows)))

    assert codes(answer) == {1: "rejected_by_app"}
    assert "blocked by the office" in answer.row_faults[1].detail
    assert_discreet(answer)


TRIGGERS = {
    "postgres": (
        "create function guard() returns trigger language plpgsql as $$ begin if new.name like 'hush%' then "
        "raise exception 'thing % is blocked by the office', new.name; end if; return new; end $$",
        "create trigger guard before insert or update on thing for each row execute function guard()",
    ),
    "mariadb": (
        "create trigger guard before insert on thing for each row begin if new.name like 'hush%' then "
        "set @said = concat('thing ', new.name, ' is blocked by the office'); "
        "signal sqlstate '45000' set message_text = @said; end if; end",
    ),
    "sqlite": (
        "create trigger guard before insert on thing when new.name like 'hush%' begin "
        "select raise(abort, 'thing is blocked by the office'); end",
    ),
}


def assert_discreet(answer: Written) -> None:
    for fault in (*answer.row_faults.values(), *answer.delete_faults.values()):
        assert SECRET not in told(fault)


def told(fault: Fault) -> str:
    return repr(fault)


def test_a_child_whose_parent_failed_fails_where_the_key_is_looked_at_on_commit(
    target: Target, connector: Connector
) -> None:
    deferred = "" if target.dialect == "mariadb" else " deferrable initially deferred"
    target.execute(
        f"create table thing (id int primary key, parent int references thing (id){deferred}, code varchar(9) unique)"
    )
    columns = ("id", "parent", "code")
    connector.write(put("thing", columns, (9, None, "taken")))

    answer = written(
        connector.write(put("thing", columns, (1, None, "taken"), (2, 1, "x"), (3, 4, "y"), (4, None, "z")))
    )

    assert codes(answer) == {0: "duplicate_key", 1: "reference_missing"}
    assert target.rows("select id from thing order by id") == [(3,), (4,), (9,)]
