# ruff: noqa: DTZ001  zone-less timestamps are part of what is tested
"""Values that a database would silently store as other ones: they are refused, or cut as documented, never changed."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from tests.contract.connectors.target import Target, codes, counts, put, written
from worker.connectors.protocol import Connector


@pytest.mark.parametrize("target", ["mariadb"], indirect=True)
@pytest.mark.parametrize(
    ("declared", "held", "refused"),
    [
        ("enum('small','medium','it''s')", ["small", "MEDIUM", "it's"], ["2", " 2", "0", "+1", "007"]),
        ("enum('10','20')", ["10", "20"], ["1", "2"]),
        ("set('a','b','c')", ["a,c", "b", ""], ["3", "5"]),
        ("year", [0, 1901, 2155, "1999"], [99, 5, 1]),
    ],
)
def test_a_number_that_mariadb_would_take_for_another_value_is_refused(
    target: Target, connector: Connector, declared: str, held: list[Any], refused: list[Any]
) -> None:
    target.execute(f"create table thing (id int primary key, v {declared})")
    rows = list(enumerate([*held, *refused]))

    answer = connector.write(put("thing", ("id", "v"), *rows))

    assert codes(answer) == dict.fromkeys(range(len(held), len(rows)), "out_of_range")
    shown = [value.lower() for (value,) in target.rows("select cast(v as char) from thing order by id")]
    assert shown == ["0000" if value == 0 else str(value).lower() for value in held]


@pytest.mark.parametrize("target", ["sqlite"], indirect=True)
@pytest.mark.parametrize("declared", ["string", "enum", "json"])
def test_text_that_sqlite_would_take_for_a_number_is_refused_unless_it_stays_the_same(
    target: Target, connector: Connector, declared: str
) -> None:
    target.execute(f"create table thing (id int primary key, v {declared})")
    held = ["7", "-12", "1.5", "x", "1,5", "0x1F", str(2**63 - 1)]
    refused = ["007", "1e5", "1.0", "1.10", "-0", "+1", " 7", ".5", "5.", "12345678901234567890123"]
    rows = list(enumerate([*held, *refused]))

    answer = connector.write(put("thing", ("id", "v"), *rows))

    assert codes(answer) == dict.fromkeys(range(len(held), len(rows)), "out_of_range")
    assert target.rows("select cast(v as text) from thing order by id") == [(value,) for value in held]


FRACTIONS = {
    "postgres": ("at timestamp(0), seen timestamptz(3), clock time(0), part timestamp(1)"),
    "mariadb": ("at datetime, seen timestamp(3) null, clock time, part datetime(1)"),
}


def test_a_fraction_of_a_second_that_does_not_fit_is_cut_and_never_rounded_up(server: Target) -> None:
    server.execute(f"create table thing (id int primary key, {FRACTIONS[server.dialect]})")
    late, clock = dt.datetime(2024, 1, 31, 23, 59, 59, 999_999), dt.time(23, 59, 59, 700_000)
    row = (1, late, late.replace(tzinfo=dt.UTC), clock, late)
    connector = server.open()
    columns = ("id", "at", "seen", "clock", "part")

    assert counts(connector.write(put("thing", columns, row))) == (1, 0, 0, 0)
    assert counts(connector.write(put("thing", columns, row))) == (0, 0, 1, 0)
    (found,) = server.rows("select at, seen, clock, part from thing")
    assert str(found[0]) == "2024-01-31 23:59:59"
    assert str(found[1]).startswith("2024-01-31 23:59:59.999000")
    assert str(found[2]) == "23:59:59"
    assert str(found[3]) == "2024-01-31 23:59:59.900000"


@pytest.mark.parametrize("target", ["postgres"], indirect=True)
@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("inner_amount", Decimal("1.505")),
        ("outer_amount", Decimal("1.505")),
        ("outer_amount[]", [Decimal("1.505")]),
        ("amounts", [Decimal("1.505")]),
        ("outer_amount", None),
    ],
)
def test_a_domain_has_the_limits_of_all_domains_below_it(
    target: Target, connector: Connector, declared: str, value: Any
) -> None:
    target.execute(
        "create domain inner_amount as numeric(6,2)",
        "create domain middle_amount as inner_amount not null",
        "create domain outer_amount as middle_amount check (value > 0)",
        "create domain amounts as numeric(6,2)[]",
        f"create table thing (id int primary key, v {declared})",
    )

    answer = written(connector.write(put("thing", ("id", "v"), (1, value))))

    assert codes(answer) == {0: "required_missing" if value is None else "out_of_range"}
    assert answer.splits == 0
    assert answer.row_faults[0].exception_type is None, "before the database has seen it"


CLOCKS = {
    "postgres": (
        ["24:00:00"],
        [dt.timedelta(hours=24)],
        [dt.timedelta(hours=24, microseconds=1), -dt.timedelta(1)],
    ),
    "mariadb": (
        ["30:00:00", "-02:30:00.500000", "838:59:59"],
        [
            dt.timedelta(hours=30),
            -dt.timedelta(hours=2, minutes=30, seconds=0.5),
            dt.timedelta(seconds=3_020_399),
        ],
        [dt.timedelta(hours=839), -dt.timedelta(hours=839)],
    ),
    "sqlite": ([], [], [dt.timedelta(hours=24), -dt.timedelta(hours=1)]),
}


def test_a_time_beyond_the_day_is_kept_as_far_as_the_database_goes(
    target: Target, connector: Connector
) -> None:
    target.execute(
        "create table thing (id int primary key, v time(6))",
        "create table other (id int primary key, v time(6))",
    )
    shown, held, refused = CLOCKS[target.dialect]
    rows = list(enumerate([*held, *refused]))

    answer = connector.write(put("thing", ("id", "v"), *rows))

    assert codes(answer) == dict.fromkeys(range(len(held), len(rows)), "out_of_range")
    texts = [row[0] for row in target.rows("select cast(v as char(20)) from thing order by id")]
    assert [text.strip().removesuffix(".000000") for text in texts] == shown
    assert counts(connector.write(put("thing", ("id", "v"), *rows)))[:3] == (0, 0, len(held))


def test_a_time_with_a_zone_is_read_as_utc(target: Target, connector: Connector) -> None:
    target.execute("create table thing (id int primary key, v time)")
    east = dt.timezone(dt.timedelta(hours=2))

    connector.write(put("thing", ("id", "v"), (1, dt.time(1, tzinfo=east)), (2, dt.time(12, tzinfo=dt.UTC))))

    assert [str(value) for (value,) in target.rows("select v from thing order by id")] == [
        "23:00:00",
        "12:00:00",
    ]


@pytest.mark.parametrize("target", ["postgres"], indirect=True)
def test_a_time_with_a_zone_keeps_it_where_the_column_does(target: Target, connector: Connector) -> None:
    target.execute("create table thing (id int primary key, v timetz, w timetz[])")
    time = dt.time(1, tzinfo=dt.timezone(dt.timedelta(hours=2)))

    connector.write(put("thing", ("id", "v", "w"), (1, time, [time])))

    assert target.rows("select v::text, w::text from thing") == [("01:00:00+02", "{01:00:00+02}")]


# a number is no bits to PostgreSQL
@pytest.mark.parametrize(
    ("server", "value"),
    [("postgres", "B00000101"), ("mariadb", "B00000101"), ("mariadb", 5), ("mariadb", "5")],
    indirect=["server"],
)
def test_bits_are_written_into_bits(server: Target, value: Any) -> None:
    server.execute("create table thing (id int primary key, v bit(8))")
    connector = server.open()

    assert counts(connector.write(put("thing", ("id", "v"), (1, value)))) == (1, 0, 0, 0)
    assert counts(connector.write(put("thing", ("id", "v"), (1, value)))) == (0, 0, 1, 0)
    shown = {"postgres": "v::text", "mariadb": "lpad(bin(v), 8, '0')"}[server.dialect]
    assert server.rows(f"select {shown} from thing") == [("00000101",)]


def test_more_bits_than_the_column_has_are_refused(server: Target) -> None:
    server.execute("create table thing (id int primary key, v bit(4))")

    answer = server.open().write(put("thing", ("id", "v"), (1, "B00101"), (2, "B10000"), (3, "B0101")))

    assert codes(answer) == (
        {0: "wrong_type", 1: "wrong_type"} if server.dialect == "postgres" else {1: "out_of_range"}
    )
