"""From the kind of a source field to the kind of a target column."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.change import FarDate, FarTimestamp, Kind, Unbounded
from worker.coerce import coercion, interval_text, to_text


@pytest.mark.parametrize("kind", list(Kind))
def test_a_value_of_the_right_kind_is_left_alone(kind: Kind) -> None:
    assert coercion(kind, kind) is None


@pytest.mark.parametrize(
    ("target", "value", "expected"),
    [
        (Kind.INTEGER, "42", 42),
        (Kind.INTEGER, 42.0, 42),
        (Kind.INTEGER, Decimal("42.00"), 42),
        (Kind.INTEGER, True, 1),
        (Kind.DECIMAL, "10.50", Decimal("10.50")),
        (Kind.DECIMAL, 0.1, Decimal("0.1")),
        (Kind.FLOAT, "NaN", float("nan")),
        (Kind.BOOLEAN, 1, True),
        (Kind.BOOLEAN, " False ", False),
        (Kind.DATE, datetime(2026, 1, 2, tzinfo=UTC), date(2026, 1, 2)),
        (Kind.TIME, timedelta(hours=1), time(1)),
        (Kind.TIME, timedelta(days=2), timedelta(days=2)),
        (
            Kind.TIMESTAMP,
            "2026-01-02T03:04:05+01:00",
            datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC).replace(tzinfo=None),
        ),
        (Kind.TIMESTAMP, FarDate(-1), FarTimestamp(-86_400_000_000, zoned=False)),
        (
            Kind.TIMESTAMP_TZ,
            datetime(2026, 1, 2, tzinfo=UTC).replace(tzinfo=None),
            datetime(2026, 1, 2, tzinfo=UTC),
        ),
        (Kind.TIMESTAMP_TZ, "infinity", Unbounded.INFINITY),
        (Kind.UUID, "8c6e3c6a-3b1e-4a2c-9f51-2f5b8a4e1d11", UUID("8c6e3c6a-3b1e-4a2c-9f51-2f5b8a4e1d11")),
        (Kind.BYTES, "3q2+7w==", b"\xde\xad\xbe\xef"),
        (Kind.JSON, {"a": [1]}, '{"a": [1]}'),
        (Kind.JSON, "[1, 2]", "[1, 2]"),
        (Kind.JSON, "plain", '"plain"'),
        (Kind.TEXT, ["a", "b"], '["a", "b"]'),
        (Kind.TEXT, Decimal("1E+2"), "100"),
        (Kind.TEXT, Decimal("0E-8"), "0.00000000"),
        (Kind.TIME, "10:00:00+02:00", time(8)),
        (Kind.FLOAT, " 1.5", 1.5),
        (Kind.FLOAT, "inf", float("inf")),
    ],
)
def test_an_exact_value_becomes_one_of_the_targets_kind(
    target: Kind, value: object, expected: object
) -> None:
    coerce = coercion(Kind.UNKNOWN, target)
    assert coerce is not None

    assert repr(coerce(value)) == repr(expected)


@pytest.mark.parametrize(
    ("target", "value"),
    [
        (Kind.INTEGER, "4.2"),
        (Kind.INTEGER, 4.2),
        (Kind.INTEGER, float("inf")),
        (Kind.INTEGER, "1_000"),
        (Kind.INTEGER, Decimal("1E+1000000")),
        (Kind.DECIMAL, "1_000"),
        (Kind.FLOAT, "1e400"),
        (Kind.FLOAT, 10**400),
        (Kind.DECIMAL, "secret"),
        (Kind.FLOAT, []),
        (Kind.BOOLEAN, "perhaps"),
        (Kind.BOOLEAN, 2),
        (Kind.DATE, "31.12.2026"),
        (Kind.DATE, datetime(2026, 1, 2, 3, tzinfo=UTC)),
        (Kind.TIMESTAMP, "secret"),
        (Kind.UUID, "secret"),
        (Kind.BYTES, "secret!"),
        (Kind.ARRAY, "secret"),
        (Kind.TEXT, b"secret"),
        (Kind.TEXT, FarDate(1)),
    ],
)
def test_a_value_of_no_such_kind_is_refused_without_being_named(target: Kind, value: object) -> None:
    coerce = coercion(Kind.UNKNOWN, target)
    assert coerce is not None

    with pytest.raises(ValueError, match=r"^(?!.*secret)"):
        coerce(value)


@pytest.mark.parametrize(
    ("unit", "wire"),
    [("us", 1_700_000_000_123_456), ("ms", 1_700_000_000_123), ("ns", 1_700_000_000_123_456_000)],
)
def test_an_integer_without_schema_is_read_in_the_configured_unit(unit: str, wire: int) -> None:
    coerce = coercion(None, Kind.TIMESTAMP_TZ, unit)
    assert coerce is not None

    assert coerce(wire).replace(microsecond=0) == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_nanoseconds_that_are_no_whole_microseconds_are_refused() -> None:
    coerce = coercion(None, Kind.TIMESTAMP, "ns")
    assert coerce is not None

    with pytest.raises(ValueError, match="finer"):
        coerce(1)


def test_a_day_before_the_common_era_stays_that_day() -> None:
    coerce = coercion(None, Kind.DATE)
    assert coerce is not None

    assert coerce(-735_160) == FarDate(-735_160)


@given(st.integers())
def test_integers_of_any_size_stay_exact_as_decimals_and_texts(value: int) -> None:
    decimal, text = coercion(Kind.INTEGER, Kind.DECIMAL), coercion(Kind.INTEGER, Kind.TEXT)
    assert decimal is not None
    assert text is not None

    assert int(decimal(value)) == value
    assert int(text(value)) == value


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_decimals_survive_their_text(value: Decimal) -> None:
    back = coercion(Kind.TEXT, Kind.DECIMAL)
    assert back is not None

    assert back(to_text(value)) == value


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (timedelta(days=1, hours=2, minutes=3, seconds=4), "1 day 02:03:04"),
        (timedelta(days=2), "2 days"),
        (timedelta(microseconds=500_000), "00:00:00.5"),
        (-timedelta(days=1, hours=1), "-1 day -01:00:00"),
    ],
)
def test_an_interval_reads_as_in_postgresql(interval: timedelta, text: str) -> None:
    assert interval_text(interval) == text
