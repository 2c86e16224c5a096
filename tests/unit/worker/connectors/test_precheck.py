# ruff: noqa: DTZ001  zone-less timestamps are part of what is tested

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.change import FarDate, FarTimestamp, Kind, Unbounded
from worker.connectors.protocol import Column
from worker.connectors.sql.clocks import duration_text
from worker.connectors.sql.exact import Holds
from worker.connectors.sql.precheck import check
from worker.fault import Fault

POSTGRES = Holds(far_dates=True, not_a_number=True, nul_in_text=False, arrays=True)
OTHERS = Holds()


def held(column: Column, value: Any, holds: Holds = OTHERS) -> Any:
    """What a column holds for a value: the exact value, or the fault."""
    batch, faults = check([column], [(value,)], frozenset(), holds)
    return faults[0] if faults else batch.columns[0][0]


def code(column: Column, value: Any, holds: Holds = OTHERS) -> str:
    found = held(column, value, holds)
    assert isinstance(found, Fault)
    return found.code


TEXT = Column("c", Kind.TEXT, max_length=5)
SMALL = Column("c", Kind.INTEGER, minimum=-10, maximum=10)
MONEY = Column("c", Kind.DECIMAL, precision=6, scale=2)


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        (TEXT, "abcde   ", "abcde   "),
        (TEXT, 12, "12"),
        (TEXT, True, "true"),
        (TEXT, Decimal("1E+2"), "100"),
        (Column("c", Kind.TEXT), {"a": [Decimal("1.5")]}, '{"a":["1.5"]}'),
        (Column("c", Kind.TEXT), dt.date(2026, 1, 2), "2026-01-02"),
        (SMALL, True, 1),
        (SMALL, Decimal("4.00"), 4),
        (SMALL, " 7 ", 7),
        (MONEY, Decimal("9999.990"), Decimal("9999.99")),
        (MONEY, 5, Decimal(5)),
        (MONEY, 0.1, Decimal("0.1")),
        (MONEY, "12.5", Decimal("12.5")),
        (Column("c", Kind.BOOLEAN), 1, True),
        (Column("c", Kind.BOOLEAN), "false", False),
        (Column("c", Kind.DATE), dt.datetime(2026, 1, 2), dt.date(2026, 1, 2)),
        (Column("c", Kind.TIMESTAMP), dt.date(2026, 1, 2), dt.datetime(2026, 1, 2)),
        (Column("c", Kind.TIME), dt.timedelta(hours=1), dt.time(1)),
        (Column("c", Kind.TIME), dt.time(1, tzinfo=dt.timezone(dt.timedelta(hours=2))), dt.time(23)),
        (
            Column("c", Kind.UUID),
            "00112233-4455-6677-8899-aabbccddeeff",
            UUID(int=0x00112233445566778899AABBCCDDEEFF),
        ),
        (Column("c", Kind.BYTES), bytearray(b"x"), b"x"),
    ],
)
def test_a_value_becomes_its_exact_equal(column: Column, value: Any, expected: Any) -> None:
    assert held(column, value) == expected


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Kind.TIME, dt.time(23, 59, 59, 999_999), dt.time(23, 59, 59, 990_000)),
        (Kind.TIMESTAMP, dt.datetime(1, 1, 1, 0, 0, 0, 19_999), dt.datetime(1, 1, 1, 0, 0, 0, 10_000)),
        (Kind.TIMESTAMP, FarTimestamp(-19_999, zoned=False), FarTimestamp(-20_000, zoned=False)),
        (Kind.TIMESTAMP, Unbounded.INFINITY, Unbounded.INFINITY),
        (Kind.INTERVAL, dt.timedelta(seconds=1, microseconds=19_999), dt.timedelta(seconds=1.01)),
        (Kind.INTERVAL, -dt.timedelta(microseconds=19_999), -dt.timedelta(microseconds=10_000)),
    ],
)
def test_decimals_of_a_second_that_a_column_does_not_have_are_cut(
    kind: Kind, value: Any, expected: Any
) -> None:
    assert held(Column("c", kind, scale=2), value, POSTGRES) == expected


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        (TEXT, "abcdef", "too_long"),
        (TEXT, b"abc", "wrong_type"),
        (TEXT, "\ud800", "wrong_type"),
        (SMALL, 11, "out_of_range"),
        (SMALL, 1.5, "wrong_type"),
        (SMALL, float("inf"), "out_of_range"),
        (SMALL, "seven", "wrong_type"),
        (MONEY, Decimal("1.001"), "out_of_range"),
        (MONEY, Decimal(10_000), "out_of_range"),
        (MONEY, Decimal("NaN"), "out_of_range"),
        (MONEY, True, "wrong_type"),
        (Column("c", Kind.FLOAT), float("nan"), "out_of_range"),
        (Column("c", Kind.BOOLEAN), 2, "wrong_type"),
        (Column("c", Kind.DATE), FarDate(-800_000), "out_of_range"),
        (Column("c", Kind.DATE), dt.datetime(2026, 1, 2, 3), "wrong_type"),
        (Column("c", Kind.TIMESTAMP), Unbounded.INFINITY, "out_of_range"),
        (Column("c", Kind.TIME), dt.timedelta(days=2), "out_of_range"),
        (Column("c", Kind.UUID), "no", "wrong_type"),
        (Column("c", Kind.BYTES, max_length=2), b"abc", "too_long"),
        (Column("c", Kind.JSON), {"a": float("nan")}, "wrong_type"),
        (Column("c", Kind.ARRAY, element=Kind.INTEGER), 5, "wrong_type"),
        (Column("c", Kind.TEXT, nullable=False), None, "required_missing"),
    ],
)
def test_a_value_that_would_be_changed_is_refused(column: Column, value: Any, expected: str) -> None:
    assert code(column, value) == expected


def test_postgresql_holds_what_the_others_cannot_and_no_nul() -> None:
    assert held(Column("c", Kind.DATE), FarDate(-800_000), POSTGRES) == FarDate(-800_000)
    assert held(MONEY, Decimal("NaN"), POSTGRES).is_nan()
    assert code(TEXT, "a\0", POSTGRES) == "wrong_type"
    assert held(TEXT, "a\0") == "a\0"


def test_a_double_is_no_place_for_more_than_its_digits() -> None:
    sqlite = Holds(decimal_digits=15)
    column = Column("c", Kind.DECIMAL, precision=20, scale=4)

    assert held(column, Decimal("12345678901.2345"), sqlite) == Decimal("12345678901.2345")
    assert code(column, Decimal("123456789012.3456"), sqlite) == "out_of_range"


def test_a_null_in_a_key_is_missing() -> None:
    _, faults = check([TEXT], [(None,)], frozenset({"c"}), OTHERS)

    assert faults[0].code == "required_missing"


def test_good_rows_stay_with_their_numbers() -> None:
    batch, faults = check([TEXT, SMALL], [("a", 1), ("abcdef", 2), ("c", 99), ("d", 4)], frozenset(), OTHERS)

    assert list(batch.numbers) == [0, 3]
    assert [list(column) for column in batch.columns] == [["a", "d"], [1, 4]]
    assert {number: fault.code for number, fault in faults.items()} == {1: "too_long", 2: "out_of_range"}


@given(
    st.lists(
        st.one_of(st.none(), st.decimals(allow_nan=True), st.integers(), st.text(max_size=8)), max_size=20
    )
)
def test_a_whole_column_is_judged_as_its_values_one_by_one(values: list[Any]) -> None:
    for column in (TEXT, SMALL, MONEY, Column("c", Kind.DECIMAL)):
        batch, faults = check([column], [(value,) for value in values], frozenset(), POSTGRES)
        alone = [check([column], [(value,)], frozenset(), POSTGRES) for value in values]
        assert set(faults) == {number for number, (_, fault) in enumerate(alone) if fault}
        assert list(map(repr, batch.columns[0])) == [
            repr(one.columns[0][0]) for one, fault in alone if not fault
        ]


def test_a_duration_is_told_as_iso_8601() -> None:
    assert duration_text(dt.timedelta(days=3, seconds=4, microseconds=500_000)) == "P3DT4.5S"
    assert duration_text(-dt.timedelta(hours=1)) == "-P0DT3600S"


@pytest.mark.parametrize("number", ["1E+400", "1E+1000000", "12345678901234567890123", "0.1234567890123456"])
def test_a_database_that_keeps_decimals_as_doubles_is_given_none_that_it_would_change(number: str) -> None:
    assert code(Column("c", Kind.DECIMAL), Decimal(number), Holds(decimal_digits=15)) == "out_of_range"


@pytest.mark.parametrize("number", ["1E+300", "9223372036854775807", "123456789012345E+10"])
def test_a_database_that_keeps_decimals_as_doubles_is_given_those_that_it_keeps(number: str) -> None:
    value = Decimal(number)

    assert held(Column("c", Kind.DECIMAL), value, Holds(decimal_digits=15)) == value
