"""`instep errors groups`, `mute` and `unmute`, on the store and through a served sink."""

import orjson

from tests.integration.test_sink_commands import Desk, desk
from tests.sink_events import failed, resolved

__all__ = ["desk"]


def monday(desk: Desk) -> None:
    """Three entries of one cause, one of another, one that is over."""
    over = failed("D001", 9, code="timeout", category="transient", message="It took too long.")
    many = (failed(f"C{n}", n) for n in range(3))
    desk.has(*many, failed("C009", 5, code="wrong_type", message="It is no number."), over, resolved(over))


def group_ids(desk: Desk) -> list[str]:
    lines = desk.types("groups", "--json").stdout.splitlines()
    return [orjson.loads(line)["id"] for line in lines]


def test_groups_are_listed_with_the_most_entries_first(desk: Desk) -> None:
    monday(desk)
    told = [orjson.loads(line) for line in desk.types("groups", "--json").stdout.splitlines()]
    assert [(group["code"], group["relevant"], group["state"]) for group in told] == [
        ("too_long", 3, "open"),
        ("wrong_type", 1, "open"),
    ]


def test_groups_come_in_pages(desk: Desk) -> None:
    monday(desk)
    first = desk.types("groups", "--limit", "1", "--json")
    after = first.stderr.rpartition(" ")[2].strip()
    second = desk.types("groups", "--limit", "1", "--after", after, "--json")
    assert [orjson.loads(page.stdout)["code"] for page in (first, second)] == ["too_long", "wrong_type"]


def test_table_says_what_is_wrong_and_where_to_go_on(desk: Desk) -> None:
    monday(desk)
    told = desk.types("groups", "--code", "wrong_type")
    assert "It is no number." in " ".join(told.stdout.split())
    assert f"instep errors list --group {group_ids(desk)[1]}" in told.stdout


def test_entries_of_a_group_are_listed(desk: Desk) -> None:
    monday(desk)
    listed = desk.types("list", "--group", group_ids(desk)[0], "--json").stdout.splitlines()
    assert {orjson.loads(line)["record_id"] for line in listed} == {"C0", "C1", "C2"}


def test_first_digits_of_a_group_are_enough_to_select_its_entries(desk: Desk) -> None:
    monday(desk)
    start = group_ids(desk)[0][:6]
    for words in (("list", "--json"), ("export",)):
        assert len(desk.types(*words, "--group", start).stdout.splitlines()) == 3
    assert "Would discard 3 entries" in desk.types("discard", "--group", start, "--dry-run").stdout
    assert "STILL RELEVANT" in desk.types("clear", "--group", start, "--include-open", "--dry-run").stdout
    assert desk.types("replay", "--group", start).exit_code == 0


def test_group_that_is_not_there_is_refused(desk: Desk) -> None:
    monday(desk)
    for command in (("list",), ("export",), ("replay",), ("discard", "--yes"), ("clear", "--yes")):
        refused = desk.types(*command, "--group", "0" * 16)
        assert (refused.exit_code, "there is no group" in refused.stderr) == (2, True)


def test_only_entries_of_the_group_are_discarded(desk: Desk) -> None:
    monday(desk)
    assert desk.types("discard", "--group", group_ids(desk)[0], "--yes").exit_code == 0
    assert desk.states() == ["discarded", "open", "discarded", "discarded", "resolved"]


def test_muted_group_is_out_of_the_list_until_it_is_unmuted(desk: Desk) -> None:
    monday(desk)
    first, second = group_ids(desk)
    muted = desk.types("mute", first[:6], "--for", "7d")
    assert (muted.exit_code, "is muted until" in muted.stdout) == (0, True)
    assert group_ids(desk) == [second]
    assert "muted" in desk.types("groups", "--state", "muted").stdout
    assert desk.types("unmute", first).stdout.strip() == f"{first} is open."
    assert group_ids(desk) == [first, second]


def test_group_is_muted_until_it_grows(desk: Desk) -> None:
    monday(desk)
    first = group_ids(desk)[0]
    assert "until it has more than 5 entries" in desk.types("mute", first, "--up-to", "5").stdout
    desk.has(*(failed(f"E{n}", 20 + n) for n in range(3)))
    assert group_ids(desk)[0] == first


def test_refused_mutes_say_why_and_change_nothing(desk: Desk) -> None:
    monday(desk)
    first = group_ids(desk)[0]
    for words, why in (
        ((first,), "say until when"),
        ((first, "--up-to", "1"), "more entries than that"),
        (("0" * 16, "--for", "1d"), "there is no such group"),
    ):
        refused = desk.types("mute", *words)
        assert (refused.exit_code, why in refused.stderr) == (1, True)
    assert desk.types("unmute", first).exit_code == 1
    assert first in group_ids(desk)


def test_words_that_make_no_sense_are_refused(desk: Desk) -> None:
    monday(desk)
    for words in (
        ("groups", "--state", "opne"),
        ("groups", "--code", "nothing"),
        ("groups", "--after", "x"),
        ("mute", "ab", "--for", "1d"),
        ("mute", group_ids(desk)[0], "--for", "soon"),
    ):
        assert desk.types(*words).exit_code == 2


def test_nothing_wrong_is_said(desk: Desk) -> None:
    over = failed()
    desk.has(over, resolved(over))
    assert desk.types("groups").stdout.strip() == "Nothing is wrong: no group is open."
    assert desk.types("groups", "--state", "muted").stdout.strip() == "No group matches."
