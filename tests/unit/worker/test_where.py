"""A condition is worth what SQL says: SQLite answers the same questions as the judge."""

import sqlite3
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.change import FarDate, FarTimestamp, Unbounded
from worker.where import Where, compile_where

NUMBERS = st.integers(-5, 5) | st.sampled_from([-1.5, 0.0, 0.5, 2.5])
TEXTS = st.text("ab%_!'", max_size=4)
COLUMNS = ("n1", "n2", "t1", "t2")


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def number_operand() -> st.SearchStrategy[str]:
    return st.sampled_from(["n1", "n2", "null"]) | NUMBERS.map(repr)


def text_operand() -> st.SearchStrategy[str]:
    return st.sampled_from(["t1", "t2", "null"]) | TEXTS.map(quoted)


OPERATORS = st.sampled_from(["=", "<>", "!=", "<", "<=", ">", ">="])
MAYBE_NOT = st.sampled_from(["", " not"])


def predicates(operand: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{} {} {}".format, operand, OPERATORS, operand),
        st.builds("{}{} between {} and {}".format, operand, MAYBE_NOT, operand, operand),
        st.builds(
            "{}{} in ({})".format,
            operand,
            MAYBE_NOT,
            st.lists(operand, min_size=1, max_size=3).map(", ".join),
        ),
        st.builds("{} is{} null".format, operand, MAYBE_NOT),
    )


PATTERNS = st.lists(st.sampled_from(["a", "b", "%", "_", "''"]), max_size=4).map("".join)
ESCAPING = st.lists(st.sampled_from(["a", "b", "%", "_", "!%", "!_", "!!"]), max_size=4).map("".join)
LIKES = st.builds("{}{} like '{}'".format, st.sampled_from(["t1", "t2"]), MAYBE_NOT, PATTERNS) | st.builds(
    "{}{} like '{}' escape '!'".format, st.sampled_from(["t1", "t2"]), MAYBE_NOT, ESCAPING
)

CONDITIONS = st.recursive(
    predicates(number_operand()) | predicates(text_operand()) | LIKES | st.sampled_from(["true", "false"]),
    lambda inner: st.one_of(
        st.builds("not ({})".format, inner),
        st.builds("({}) and ({})".format, inner, inner),
        st.builds("({}) or ({})".format, inner, inner),
        st.builds("{} or not {} and {}".format, *[predicates(number_operand())] * 3),
    ),
    max_leaves=6,
)
ROWS = st.fixed_dictionaries(
    {"n1": st.none() | NUMBERS, "n2": st.none() | NUMBERS, "t1": st.none() | TEXTS, "t2": st.none() | TEXTS}
)


def sqlite_says(condition: str, row: dict[str, Any]) -> bool:
    database = sqlite3.connect(":memory:")
    try:
        database.execute("pragma case_sensitive_like = on")
        # The columns have no affinity: values stay what they are.
        database.execute("create table record (n1, n2, t1, t2)")
        database.execute("insert into record values (?, ?, ?, ?)", [row[name] for name in COLUMNS])
        return bool(database.execute(f"select count(*) from record where {condition}").fetchone()[0])
    finally:
        database.close()


def where(text: str) -> Where:
    compiled = compile_where(text)
    assert isinstance(compiled, Where), compiled
    return compiled


@settings(max_examples=400, deadline=None)
@given(condition=CONDITIONS, row=ROWS)
def test_agrees_with_sqlite(condition: str, row: dict[str, Any]) -> None:
    assert where(condition)(row) == sqlite_says(condition, row)


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        ("a = false", 0, True),
        ("a = 1", True, True),
        ("a = 0.1", Decimal("0.10"), True),
        ("a = 0.1", 0.1, True),
        ("a > 1", Decimal("NaN"), False),
        ("a <> 1", float("nan"), False),
        ("a > 1", "2", False),
        ("a <> 1", "2", False),
        ("a = 'x'", b"x", False),
        ("a = 'x'", [1], False),
        ("a < 'b'", "a", True),
        ("a >= '2024-02-29'", date(2024, 2, 29), True),
        ("a >= '2024-02-29'", date(2024, 2, 28), False),
        ("'2024-02-29' <= a", datetime.fromisoformat("2024-02-29"), True),
        ("a = '2024-02-29T12:00:00+02:00'", datetime(2024, 2, 29, 10, tzinfo=UTC), True),
        ("a between '2024-01-01' and '2024-12-31'", datetime(2024, 6, 1, tzinfo=UTC), True),
        ("a < '0001-01-01'", FarDate(-1_000_000), True),
        ("a > '9999-12-31'", FarTimestamp(300_000_000_000_000_000, zoned=False), True),
        ("a > '9999-12-31'", Unbounded.INFINITY, True),
        ("a < '0001-01-01'", Unbounded.NEGATIVE, True),
        ("a = 'infinity'", Unbounded.INFINITY, False),
        ("a > 'yesterday'", date(2024, 1, 1), False),
        ("a < '12:30'", time(12, 29), True),
        ("a = '6F1C1B52-3F0E-5A1B-9F35-0D2F6A7C9E11'", UUID("6f1c1b52-3f0e-5a1b-9f35-0d2f6a7c9e11"), True),
        ("a like 'x%z'", "x\ny\nz", True),
        ("a like 'X%'", "xyz", False),
        ("a like '1%'", 12, False),
        ("a like '!!%' escape '!'", "!x", True),
        ("a like '!!%' escape '!'", "%", False),
        ("a like '!%' escape '!'", "%", True),
        ("a like '!%' escape '!'", "x", False),
    ],
)
def test_values_of_every_type(condition: str, value: object, holds: bool) -> None:
    assert where(condition)({"a": value}) is holds


@pytest.mark.parametrize(
    "condition", ["a > 1", "not a > 1", "a like 'x'", "not a like 'x'", "a in (1, null)"]
)
def test_unlike_types_are_unknown_and_unknown_is_not_true(condition: str) -> None:
    assert not where(condition)({"a": object()})


def test_a_field_that_the_row_lacks_is_null() -> None:
    assert where("a is null")({})


def test_names_the_fields_it_looks_at() -> None:
    condition = where("a = 1 and (b like 'x' or not c is null) and d in (e, 2) and \"F g\" between h and 3")

    assert condition.fields == {"a", "b", "c", "d", "e", "F g", "h"}


@pytest.mark.parametrize(
    "text",
    [
        *("", "a =", "a = 1; drop table x", "select 1", "a", "not a", "a + 1 = 2", "lower(a) = 'x'"),
        *("a in (select 1)", "x.a = 1", "a is true", "date '2020-01-01' < a", "a between symmetric 1 and 2"),
        *("a like any ('x')", "a like b", "(a, b) = (1, 2)", "a = :p", "a = ?", "a = b = c", "a <=> 1"),
        *("a ilike 'x'", "case when a = 1 then true end", "exists(select 1)", "a is b", "a = $1", "a = N'x'"),
        *("a = 'x", "a like '%' escape ''", "a like '%' escape 'xy'", "a like 'x!' escape '!'", "a = 1 /*"),
        *("a ~ 'x'", "1", "'x'", "null", "a is distinct from 1", "a in ()", "a in unnest(b)", "a = x'41'"),
        "(" * 3000 + "a = 1" + ")" * 3000,
    ],
)
def test_refuses_what_it_does_not_know(text: str) -> None:
    assert isinstance(compile_where(text), str)


def test_a_refusal_says_what_could_be_used_and_shows_no_value() -> None:
    refusal = compile_where("a = 'hunter2' b")

    assert isinstance(refusal, str)
    assert "Supported are" in refusal
    assert "hunter2" not in refusal


@given(st.text(max_size=40))
def test_any_text_is_compiled_or_refused(text: str) -> None:
    assert isinstance(compile_where(text), Where | str)
