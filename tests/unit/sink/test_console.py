import pytest
from hypothesis import given
from hypothesis import strategies as st

from sink.console.inert import inert, inert_cell
from sink.console.shown import ago, line
from sink.desk.selection import Selection, WrongUse, read_cursor, to_filter, write_cursor
from sink.states import RELEVANT, State


@pytest.mark.parametrize("text", ["plain", "Größe 10 µm", "日本", "O'Neil <b>&amp;", "a\\b"])
def test_text_that_stands_for_itself_is_shown_as_it_is(text: str) -> None:
    assert inert(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", "\\x1b[2J"),
        ("a\rb\nc", "a\\rb\\nc"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202egnp.exe", "abc\\u202egnp.exe"),
        ("\u200bx\u2028", "\\u200bx\\u2028"),
    ],
)
def test_what_a_terminal_would_obey_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert inert(text) == shown


@given(st.text())
def test_inert_text_is_printable(text: str) -> None:
    assert all(
        character.isprintable() or character == "\xa0" or character.isspace() for character in inert(text)
    )
    assert not set(inert(text)) & {"\x1b", "\n", "\r", "\t", "\x9b", "\u202e"}


def test_what_was_searched_for_is_not_told() -> None:
    selection = Selection(mappings=("customers",), records=("C001",), text="Old & Sons")
    assert selection.in_words() == "mapping customers, a record, a text"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "=cmd|' /C calc'!A0"])
def test_spreadsheet_cell_is_no_formula(text: str) -> None:
    assert inert_cell(text).startswith("'")


def test_json_line_is_one_line_of_ascii() -> None:
    written = line({"message": "\x1b[2J\u202e\nü\x9b"})
    assert written.isascii()
    assert written.isprintable()


def test_without_states_all_that_is_not_closed_is_meant() -> None:
    assert set(to_filter(Selection(mappings=("customers",)), 0).states) == RELEVANT


def test_named_states_are_meant_alone() -> None:
    assert to_filter(Selection(states=("resolved",)), 0).states == (State.RESOLVED,)


@pytest.mark.parametrize(
    ("selection", "told"),
    [
        (Selection(states=("opne",)), '"open"'),
        (Selection(codes=("to_long",)), '"too_long"'),
        (Selection(categories=("dat",)), '"data"'),
        (Selection(older_than="soon"), "older-than must be"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_hint(selection: Selection, told: str) -> None:
    with pytest.raises(WrongUse, match=told):
        to_filter(selection, 0)


def test_page_goes_on_where_the_one_before_said() -> None:
    assert read_cursor(write_cursor((17, "3f2a"))) == (17, "3f2a")


@pytest.mark.parametrize("text", ["", "17", "x-y", "-1-ab", "17-"])
def test_strange_page_is_refused(text: str) -> None:
    with pytest.raises(WrongUse):
        read_cursor(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "now"), (5, "5 s ago"), (61, "1 min ago"), (3600, "1 h ago"), (3 * 86_400 + 7200, "3 d 2 h ago")],
)
def test_age_is_told_in_its_largest_units(seconds: int, text: str) -> None:
    assert ago(0, seconds * 1_000_000) == text
