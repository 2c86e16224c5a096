from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sink.desk.selection import WrongUse
from sink.states import RELEVANT, State
from sink.web.page.list_query import ENTRIES, RECORDS, SETUP, in_words, read_query

NOW = 1_800_000_000_000_000
words = (
    st.text(st.characters(exclude_characters="\x00", codec="utf-8"), min_size=1, max_size=30)
    .map(str.strip)
    .filter(bool)
)


def test_record_errors_are_those_of_users_and_setup_errors_those_of_admins() -> None:
    assert read_query(RECORDS, []).filter(NOW).fixers == ("user",)
    assert read_query(SETUP, []).filter(NOW).fixers == ("admin", "developer")
    assert read_query(ENTRIES, []).filter(NOW).fixers == ()


def test_closed_entries_are_shown_only_when_asked_for() -> None:
    assert set(read_query(RECORDS, []).filter(NOW).states) == RELEVANT
    assert read_query(RECORDS, [("state", "resolved")]).filter(NOW).states == (State.RESOLVED,)


def test_a_chip_leads_to_the_list_without_its_filter() -> None:
    query = read_query(RECORDS, [("mapping", "a b"), ("code", "too_long"), ("after", "1-x")])
    assert [(chip.name, chip.value, chip.href) for chip in query.chips()] == [
        ("mapping", "a b", "/records?code=too_long"),
        ("code", "too_long", "/records?mapping=a+b"),
    ]


@pytest.mark.parametrize(
    "pair", [("sort", "id"), ("text", "x" * 501), ("text", "a\x00b"), ("code", "no_such"), ("state", "gone")]
)
def test_a_filter_that_makes_no_sense_is_refused(pair: tuple[str, str]) -> None:
    with pytest.raises(WrongUse):
        read_query(RECORDS, [pair]).filter(NOW)


@given(
    st.lists(
        st.tuples(st.sampled_from(["mapping", "record", "group", "text"]), words), max_size=5, unique=True
    )
)
def test_an_address_means_the_list_that_it_was_made_of(pairs: list[tuple[str, str]]) -> None:
    query = read_query(RECORDS, pairs)
    assert read_query(RECORDS, parse_qsl(urlsplit(query.address()).query)) == query


def test_the_audit_log_gets_no_searched_text() -> None:
    query = read_query(RECORDS, [("text", "secret name"), ("record", "C001"), ("mapping", "customers")])
    assert in_words(query, ["open"]) == "record errors: mapping customers, a record, a text"
