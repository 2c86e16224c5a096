import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.change import FarDate, FarTimestamp, Kind, Unbounded
from worker.connectors.protocol import Column
from worker.connectors.sql.postgres.copytext import civil_from_days, copy_chunks, copy_text, interval_text
from worker.connectors.sql.table import Batch


def line(kind: Kind, value: Any, element: Kind | None = None) -> str:
    text = copy_text([Column("c", kind, element=element)], Batch([0], [[value]]))
    return text.decode().removeprefix("0\t").removesuffix("\n")


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Kind.TEXT, "plain", "plain"),
        (Kind.TEXT, "a\tb\nc\\d\re", "a\\tb\\nc\\\\d\\re"),
        (Kind.TEXT, "\\N", "\\\\N"),
        (Kind.TEXT, None, "\\N"),
        (Kind.INTEGER, None, "\\N"),
        (Kind.BOOLEAN, True, "t"),
        (Kind.BOOLEAN, None, "\\N"),
        (Kind.BYTES, b"\x00\xff", "\\\\x00ff"),
        (Kind.DECIMAL, Decimal("1.50"), "1.50"),
        (Kind.FLOAT, float("nan"), "nan"),
        (Kind.DATE, dt.date(5, 1, 2), "0005-01-02"),
        (Kind.DATE, FarDate(-719_528), "0001-01-01 BC"),
        (Kind.DATE, FarDate(2_932_897), "10000-01-01"),
        (Kind.DATE, Unbounded.NEGATIVE, "-infinity"),
        (
            Kind.TIMESTAMP,
            FarTimestamp(-62_167_219_200_000_001, zoned=False),
            "0002-12-31 23:59:59.999999+00 BC",
        ),
        (Kind.TIMESTAMP_TZ, dt.datetime(2026, 1, 2, 3, tzinfo=dt.UTC), "2026-01-02 03:00:00+00:00"),
        (Kind.INTERVAL, dt.timedelta(days=-1, microseconds=5), "-1 days 0 seconds 5 microseconds"),
    ],
)
def test_a_value_is_written_as_copy_reads_it(kind: Kind, value: Any, expected: str) -> None:
    assert line(kind, value) == expected


def test_an_array_is_quoted_within_and_escaped_around() -> None:
    assert (
        line(Kind.ARRAY, ['a"b', "c\\d", None, "NULL", ["x"]], Kind.TEXT)
        == '{"a\\\\"b","c\\\\\\\\d",NULL,"NULL",{"x"}}'
    )


@given(st.dates())
def test_days_become_the_date_that_python_makes_of_them(date: dt.date) -> None:
    assert civil_from_days((date - dt.date(1970, 1, 1)).days) == (date.year, date.month, date.day)


def test_the_pieces_together_are_the_whole() -> None:
    columns = [Column("c", Kind.TEXT), Column("d", Kind.INTEGER)]
    batch = Batch(range(1300), [[None if n % 3 else f"t\t{n}" for n in range(1300)], list(range(1300))])

    assert b"".join(copy_chunks(columns, batch)) == copy_text(columns, batch)


def test_an_interval_is_exact() -> None:
    assert interval_text(dt.timedelta(days=1, seconds=2, microseconds=3)) == "1 days 2 seconds 3 microseconds"
