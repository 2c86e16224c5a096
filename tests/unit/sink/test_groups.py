from datetime import datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import catalogue
from sink.groups import Cause, cause_of, normalized, other_causes

WORDS = st.text(st.characters(codec="utf-8"), max_size=300)
CODES = st.sampled_from(sorted(catalogue()))


def caused(
    code: str = "too_long",
    *,
    mapping: str = "customers",
    direction: str = "forward",
    message: str = "It is too long.",
    **parameters: str,
) -> Cause:
    return cause_of(mapping, direction, "data", code, parameters, message)


@pytest.mark.parametrize(
    ("message", "wording"),
    [
        ("its length is 61, at most 50 fits", "its length is #, at most # fits"),
        ("value -1.5e3 of 1,000,000", "value # of #"),
        ("record 3f2504e0-4f89-11d3-9a0c-0305e82c3301 fails", "record # fails"),
        ("record abcdefab-abcd-abcd-abcd-abcdefabcdef fails", "record # fails"),
        ("at 2026-11-23T10:00:00.5Z and 2026-11-23 10:00:00+01:00", "at # and #"),
        ("object 0xDEADBEEF, digest 9e107d9d372bb6826bd81d3542a419d6", "object #, digest #"),
        ("'Miller & Co' and \"Smith's\" and “Öl”", "… and … and …"),
        ("ann.o'x@example.com wrote", "ann.o'… wrote"),
        ("ann+x@mail.example.com wrote", "… wrote"),
        ("order SO-1234AB for C001", "order SO# for #"),
        ("it's the customer's fault", "it's the customer's fault"),
        ("  two\n lines\t", "two lines"),
        ("", ""),
    ],
)
def test_wording_is_a_message_without_what_differs_by_record(message: str, wording: str) -> None:
    assert normalized(message) == wording


@given(WORDS)
def test_wording_of_a_wording_is_the_same(message: str) -> None:
    once = normalized(message)
    assert normalized(once) == once


@given(st.text(st.sampled_from("'\"`a1@.- "), max_size=60))
def test_wording_of_quotes_in_quotes_is_the_same_again(message: str) -> None:
    once = normalized(message)
    assert normalized(once) == once


@given(st.integers(), st.uuids(), st.datetimes(), st.from_regex(r"\A[^'\s]{0,20}\Z"))
def test_failures_that_differ_by_their_values_are_one_group(
    number: int, uuid: UUID, moment: datetime, quoted: str
) -> None:
    first = f"order {number} of '{quoted}' at {moment.isoformat()} as {uuid} is refused"
    other = "order 1 of 'x' at 2026-01-01T00:00:00 as 5 is refused"
    assert caused(message=first).id == caused(message=other).id


@given(CODES, CODES, WORDS)
def test_different_codes_are_different_groups(one: str, other: str, message: str) -> None:
    assert (caused(one, message=message).id == caused(other, message=message).id) is (one == other)


@pytest.mark.parametrize("name", ["field", "limit", "constraint", "columns", "entity"])
def test_other_fields_and_limits_are_another_group(name: str) -> None:
    assert caused(**{name: "a1"}).id != caused(**{name: "a2"}).id


@pytest.mark.parametrize("name", ["length", "seconds", "days", "reason"])
def test_parameters_that_differ_by_record_are_left_out(name: str) -> None:
    assert caused(**{name: "1"}).id == caused(**{name: "2"}).id


def test_mappings_and_directions_are_apart() -> None:
    ids = {caused().id, caused(mapping="contacts").id, caused(direction="backward").id}
    assert len(ids) == 3


def test_order_of_parameters_does_not_matter() -> None:
    assert caused(field="name", limit="50").id == caused(limit="50", field="name").id


def test_causes_beyond_the_bound_are_one_group_a_code() -> None:
    ids = {other_causes(caused(message=f"{word} is wrong")).id for word in "abc"}
    ids |= {other_causes(caused("wrong_type", message=f"{word} is wrong")).id for word in "abc"}
    assert len(ids) == 2


@given(st.lists(st.integers(min_value=0), min_size=1, max_size=50))
def test_numbers_alone_make_no_second_group(numbers: list[int]) -> None:
    assert len({caused(message=f"Row {n}: value {n * 7} at {n}.").id for n in numbers}) == 1


def test_long_message_takes_no_long_time() -> None:
    hostile = "'" * 2000 + "a" * 100_000 + "@" * 2000 + "1-" * 50_000
    assert len(normalized(hostile)) <= 1000
