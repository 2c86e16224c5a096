import re
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.config.transform import PLAIN_NAMES, Transform
from worker.transform import compose

ADAPTER: TypeAdapter[Any] = TypeAdapter(tuple[Transform, ...])


def transformed(value: Any, *steps: Any) -> Any:
    composed = compose(ADAPTER.validate_python(steps))
    assert composed is not None
    return composed(value)


@pytest.mark.parametrize(
    ("step", "value", "expected"),
    [
        ("trim", "  a b\t", "a b"),
        ("upper", "straße", "STRASSE"),
        ("lower", "ÀB", "àb"),
        ("title", "o'neill van DER berg", "O'neill Van Der Berg"),
        ("remove_non_alphanumeric", "NL-12 é_3", "NL12é3"),
        ("null_if_empty", "", None),
        ("null_if_empty", " ", " "),
        ({"substring": {"start": 2}}, "abcd", "cd"),
        ({"substring": {"start": 1, "length": 2}}, "abcd", "bc"),
        ({"substring": {"start": 9}}, "abcd", ""),
        ({"replace": {"old": ".", "new": ","}}, "1.2.3", "1,2,3"),
        ({"regex_replace": {"pattern": r"(\d+)-(\d+)", "with": r"\2/\1"}}, "12-34", "34/12"),
        ({"round": {"digits": 2}}, Decimal("2.675"), Decimal("2.68")),
        ({"round": {"digits": 2}}, 2.675, 2.68),
        ({"round": {}}, Decimal("-0.5"), Decimal(-1)),
        ({"round": {"digits": -2}}, 150, 200),
        ({"round": {"digits": -2}}, Decimal("149.99"), Decimal(100)),
        ({"round": {"digits": 2}}, 7, 7),
        ({"round": {"digits": 2}}, Decimal("NaN"), "NaN"),
        ({"default": {"value": "?"}}, None, "?"),
        ({"default": {"value": 0}}, "x", "x"),
        ({"date_format": {"format": "%d.%m.%Y"}}, date(2024, 2, 29), "29.02.2024"),
        ({"date_format": {"format": "%H:%M"}}, time(9, 5), "09:05"),
        (
            {"date_format": {"format": "%Y-%m-%dT%H:%M%z"}},
            datetime(2024, 1, 1, tzinfo=UTC),
            "2024-01-01T00:00+0000",
        ),
    ],
)
def test_each_does_what_its_name_says(step: Any, value: Any, expected: Any) -> None:
    answer = transformed(value, step)

    assert str(answer) == expected if expected == "NaN" else answer == expected


def test_rounding_to_hundreds_writes_plain_digits() -> None:
    assert str(transformed(Decimal(12345), {"round": {"digits": -2}})) == "12300"


def test_steps_run_in_the_order_they_are_written() -> None:
    steps = ["trim", {"substring": {"start": 0, "length": 1}}, "null_if_empty", {"default": {"value": "-"}}]

    assert [transformed(text, *steps) for text in (" xy", "  ", None)] == ["x", "-", "-"]


def test_no_steps_are_no_function() -> None:
    assert compose(()) is None


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_null_stays_null(name: str) -> None:
    assert transformed(None, name) is None


@pytest.mark.parametrize(
    ("step", "value"),
    [
        *((name, 4711) for name in PLAIN_NAMES),
        ({"substring": {"start": 1}}, 4711),
        ({"round": {}}, "4711"),
        ({"round": {}}, True),
        ({"round": {"digits": 30}}, Decimal("4711E+20000")),
        ({"date_format": {"format": "%Y"}}, "4711-01-01"),
    ],
)
def test_a_value_of_another_type_is_refused_without_being_shown(step: Any, value: Any) -> None:
    with pytest.raises(ValueError) as refusal:  # the text is looked at below
        transformed(value, step)

    assert "4711" not in str(refusal.value)
    assert str(refusal.value)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("trimm", 'Did you mean "trim"'),
        ("substring", "needs its parameters"),
        ({"substring": {"strat": 1}}, "Extra inputs"),
        ({"substring": {"start": -1}}, "greater than or equal to 0"),
        ({"substring": {"start": True}}, "whole number"),
        ({"substring": 3}, "takes its parameters as keys and values"),
        ({"substring": {"kind": "trim"}}, "takes its parameters as keys and values"),
        ({"trim": {"x": 1}}, "takes no parameters"),
        ({"trim": {}, "upper": {}}, "one transformation"),
        ({"regex_replace": {"pattern": "(", "with": ""}}, "is not a regular expression"),
        ({"regex_replace": {"pattern": "a", "with": r"\1"}}, "refers to a group"),
        ({"regex_replace": {"pattern": "a", "with": r"\q"}}, "no valid replacement"),
        ({"replace": {"old": "", "new": "x"}}, "at least 1"),
        ({"default": {"value": None}}, "must be a text"),
        ({"round": {"digits": 1.5}}, "whole number"),
        (1, "must be the name"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_configured(step: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ADAPTER.validate_python([step])


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6), st.integers(0, 6))
def test_rounding_a_decimal_is_exact(value: Decimal, digits: int) -> None:
    expected = value.quantize(Decimal(1).scaleb(-digits), context=Context(prec=100, rounding=ROUND_HALF_UP))

    assert transformed(value, {"round": {"digits": digits}}) == expected


@given(st.text(), st.integers(0, 10), st.none() | st.integers(0, 10))
def test_a_substring_is_part_of_its_text(text: str, start: int, length: int | None) -> None:
    part = transformed(text, {"substring": {"start": start} | ({} if length is None else {"length": length})})

    assert part in text
    assert length is None or len(part) <= length


@given(st.text(), st.text(min_size=1, max_size=3), st.text(max_size=3))
def test_replacing_text_is_replacing_its_escaped_pattern(text: str, old: str, new: str) -> None:
    by_pattern = {"regex_replace": {"pattern": re.escape(old), "with": new.replace("\\", r"\\")}}

    assert transformed(text, by_pattern) == transformed(text, {"replace": {"old": old, "new": new}})


@pytest.mark.parametrize("name", ["trim", "remove_non_alphanumeric"])
@given(text=st.text())
def test_cleaning_text_twice_changes_nothing_more(name: str, text: str) -> None:
    once = transformed(text, name)

    assert transformed(once, name) == once
