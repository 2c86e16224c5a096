"""Groups of entries with one cause: made, resolved, back again, muted, on PostgreSQL and on SQLite."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select, update

from schemas.catalogue import Fixer
from sink import actions, group_actions
from sink.actions import Actor, clearable
from sink.bookkeeper import Bookkeeper
from sink.group_actions import GroupRefusal, GroupRefused
from sink.groups import GROUPING_VERSION, GroupState
from sink.moment import to_us
from sink.states import CLOSED, State
from sink.store import sightings, tables
from sink.store.entries import Filter, Tally, count_entries, count_matching, page_key, read_page
from sink.store.groups import Group, GroupFilter, GroupOrder, group_key, read_group, read_groups
from sink.store.rates import HOUR_US
from sink.store.store import Store
from tests.contract.stored import NOW, entries, only, told
from tests.sink_events import at, failed, resolved

ANN = Actor("ann", "cli")
LATER = NOW + HOUR_US


def groups(store: Store, wanted: GroupFilter | None = None, now_us: int = NOW) -> list[Group]:
    with store.reading() as connection:
        return read_groups(connection, wanted or GroupFilter(), now_us=now_us)


def settled(store: Store, now_us: int = NOW) -> None:
    books = Bookkeeper(store, lambda: now_us)
    books.add_up()
    books.settle()


def the_group(store: Store, now_us: int = NOW) -> Group:
    (found,) = groups(store, now_us=now_us)
    return found


def test_failures_with_one_cause_are_one_group(store: Store) -> None:
    told(
        store,
        *(failed(f"C{n}", n, message=f"Its length is {n}.") for n in range(20)),
        failed("D", 30, code="wrong_type"),
    )
    first, second = groups(store)
    assert (first.relevant, first.code, first.message) == (20, "too_long", "Its length is #.")
    assert (second.relevant, second.code, second.states) == (1, "wrong_type", {State.OPEN: 1})
    assert (first.first_seen_us, first.last_seen_us) == tuple(
        to_us(failed("C", n).failed_at) for n in (0, 19)
    )
    assert {entry.group_id for entry in entries(store)} == {first.id, second.id}


def test_entry_that_fails_with_another_cause_changes_its_group(store: Store) -> None:
    told(store, failed())
    told(store, failed(offset=1, code="wrong_type"))
    assert {group.code: group.relevant for group in groups(store)} == {"too_long": 0, "wrong_type": 1}


def test_new_groups_are_told_once(store: Store) -> None:
    assert told(store, failed("C001", 1), failed("C002", 2)).opened == {"new": 1}
    assert told(store, failed("C003", 3)).opened == {}


def test_group_whose_entries_are_closed_is_resolved(store: Store) -> None:
    told(store, failed(), resolved(failed()))
    assert the_group(store).state is GroupState.RESOLVED
    settled(store)
    assert (the_group(store).resolved_us, the_group(store).closed) == (NOW, 1)


def test_resolved_cause_that_comes_back_is_regressed(store: Store) -> None:
    told(store, failed(), resolved(failed()))
    settled(store, to_us(at(10)))
    assert told(store, failed("C002", 20)).opened == {"regressed": 1}
    back = the_group(store)
    assert (back.state, back.regressed_us, back.resolved_us) == (
        GroupState.REGRESSED,
        to_us(failed("C002", 20).failed_at),
        None,
    )


def test_failure_from_before_the_end_opens_a_group_that_did_not_come_back(store: Store) -> None:
    told(store, failed(), resolved(failed()))
    settled(store)
    assert told(store, failed("C002", 20)).opened == {}
    assert (the_group(store).state, the_group(store).resolved_us) == (GroupState.OPEN, None)


def test_restored_entries_open_their_group(store: Store, tmp_path: Path) -> None:
    told(store, failed())
    actions.clear(store, clearable(Filter(), include_open=True), tmp_path / "a.avro", ANN)
    settled(store)
    assert the_group(store).state is GroupState.RESOLVED
    actions.restore(store, tmp_path / "a.avro", ANN)
    assert Bookkeeper(store, lambda: NOW).regroup() == 1
    settled(store)
    assert (the_group(store).state, the_group(store).resolved_us) == (GroupState.OPEN, None)


def test_muted_group_is_open_again_when_its_time_is_over(store: Store) -> None:
    told(store, failed())
    muted = group_actions.mute(store, the_group(store).id, LATER, None, ANN, NOW)
    assert isinstance(muted, Group)
    assert (muted.state, muted.muted_by, muted.row_version) == (GroupState.MUTED, "ann", 1)
    assert the_group(store, LATER).state is GroupState.OPEN


def test_muted_group_is_open_again_when_it_has_more_entries_than_that(store: Store) -> None:
    told(store, failed("C001", 1))
    group_actions.mute(store, the_group(store).id, None, 2, ANN, NOW)
    told(store, failed("C002", 2))
    assert the_group(store).state is GroupState.MUTED
    told(store, failed("C003", 3))
    assert the_group(store).state is GroupState.OPEN


def test_resolving_ends_a_mute(store: Store) -> None:
    told(store, failed())
    group_actions.mute(store, the_group(store).id, LATER, None, ANN, NOW)
    told(store, resolved(failed()))
    settled(store, to_us(at(10)))
    told(store, failed(offset=20))
    assert the_group(store).state is GroupState.REGRESSED


def test_unmuted_group_is_open(store: Store) -> None:
    told(store, failed())
    group_actions.mute(store, the_group(store).id, LATER, None, ANN, NOW)
    after = group_actions.unmute(store, the_group(store).id, ANN, NOW)
    assert isinstance(after, Group)
    assert (after.state, after.muted_until_us) == (GroupState.OPEN, None)


@pytest.mark.parametrize(
    ("until_us", "up_to", "why"),
    [
        (None, None, GroupRefusal.NO_END),
        (NOW, None, GroupRefusal.OVER),
        (None, 0, GroupRefusal.OVER),
        (LATER, -1, GroupRefusal.OVER),
    ],
)
def test_mute_without_an_end_ahead_is_refused(
    store: Store, until_us: int | None, up_to: int | None, why: GroupRefusal
) -> None:
    told(store, failed())
    group_id = the_group(store).id
    assert group_actions.mute(store, group_id, until_us, up_to, ANN, NOW) == GroupRefused(group_id, why)


def test_what_is_not_there_or_resolved_or_changed_is_not_muted(store: Store) -> None:
    assert group_actions.mute(store, "nothing", LATER, None, ANN, NOW) == GroupRefused(
        "nothing", GroupRefusal.NOT_FOUND
    )
    told(store, failed())
    group_id = the_group(store).id
    assert group_actions.unmute(store, group_id, ANN, NOW) == GroupRefused(group_id, GroupRefusal.NOT_MUTED)
    assert group_actions.mute(store, group_id, LATER, None, ANN, NOW, row_version=7) == GroupRefused(
        group_id, GroupRefusal.CHANGED
    )
    told(store, resolved(failed()))
    assert group_actions.mute(store, group_id, LATER, None, ANN, NOW) == GroupRefused(
        group_id, GroupRefusal.RESOLVED
    )


def test_muting_is_written_to_the_audit_log(store: Store) -> None:
    told(store, failed())
    group_id = the_group(store).id
    group_actions.mute(store, group_id, LATER, None, ANN, NOW)
    group_actions.mute(store, group_id, None, None, ANN, NOW)
    with store.reading() as connection:
        deeds = connection.execute(select(tables.audit).order_by(tables.audit.c.id)).all()
    assert [(d.actor, d.action, d.what, d.outcome) for d in deeds] == [
        ("ann", "mute", group_id, "done"),
        ("ann", "mute", group_id, "refused"),
    ]


def test_causes_beyond_the_bound_share_a_group(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sightings, "GROUPS_OF_A_MAPPING", 3)
    words = [f"{a}{b}" for a in "abcd" for b in "xyz"]
    told(store, *(failed(f"C{n}", n, message=f"{word} is wrong") for n, word in enumerate(words)))
    told(
        store, failed("C99", 99, message="Something else is wrong"), failed("C98", 98, message="ax is wrong")
    )
    numbers = sorted(group.relevant for group in groups(store))
    assert (len(numbers), sum(numbers), numbers[-1]) == (4, 14, 10)
    assert sum(sum(group.hours) for group in groups(store, now_us=to_us(at(100)))) == 14


def test_entries_of_an_older_grouping_are_grouped_anew(store: Store) -> None:
    told(store, *(failed(f"C{n}", n) for n in range(5)))
    with store.writing() as connection:
        connection.execute(tables.group.delete())
        connection.execute(update(tables.entry).values(group_id="", group_version=GROUPING_VERSION - 1))
    before = entries(store)
    assert (Bookkeeper(store, lambda: NOW).regroup(), Bookkeeper(store, lambda: NOW).regroup()) == (5, 0)
    assert (the_group(store).relevant, entries(store)) == (
        5,
        [replace(e, group_id=the_group(store).id) for e in before],
    )


def test_index_over_entries_of_an_older_grouping_fits_the_version() -> None:
    assert f"group_version < {GROUPING_VERSION}" == tables.UNGROUPED


def test_pages_of_groups_hold_each_once_the_largest_first(store: Store) -> None:
    told(store, *(failed(f"C{n}", n, message=f"{'abcdefg'[n % 7]} is wrong") for n in range(40)))
    for order in GroupOrder:
        seen: list[Group] = []
        with store.reading() as connection:
            wanted = GroupFilter(order=order)
            while page := read_groups(
                connection, wanted, group_key(seen[-1], order) if seen else None, 3, now_us=NOW
            ):
                seen += page
        assert len({group.id for group in seen}) == len(seen) == 7
        keys = [group_key(group, order) for group in seen]
        assert keys == sorted(keys, reverse=True)


@pytest.mark.parametrize(
    ("wanted", "codes"),
    [
        (GroupFilter(), {"too_long", "login_failed", "timeout"}),
        (GroupFilter(mappings=("contacts",)), {"timeout"}),
        (GroupFilter(codes=("login_failed",)), {"login_failed"}),
        (GroupFilter(categories=("data",)), {"too_long"}),
        (GroupFilter(fixers=(Fixer.USER,)), {"too_long"}),
        (GroupFilter(fixers=(Fixer.ADMIN, Fixer.DEVELOPER)), {"login_failed"}),
        (GroupFilter(text="LONGER than"), {"too_long"}),
        (GroupFilter(text="%"), set()),
        (GroupFilter(states=(GroupState.OPEN,)), {"too_long", "login_failed"}),
        (GroupFilter(states=(GroupState.RESOLVED, GroupState.MUTED)), {"timeout"}),
        (GroupFilter(opened_after_us=to_us(at(1.5))), {"login_failed", "timeout"}),
    ],
)
def test_group_filters_find_what_they_say(store: Store, wanted: GroupFilter, codes: set[str]) -> None:
    last = failed("C003", 3, mapping="contacts", code="timeout", category="transient", message="late")
    told(
        store,
        failed("C001", 1),
        failed("C002", 2, code="login_failed", category="setup", message="no"),
        last,
        resolved(last),
    )
    assert {group.code for group in groups(store, wanted)} == codes


def mixed(store: Store) -> None:
    """Forty entries in eight groups, every third one closed."""
    kinds = [
        ("too_long", "data"),
        ("wrong_type", "data"),
        ("login_failed", "setup"),
        ("timeout", "transient"),
    ]
    events = []
    for n in range(40):
        code, category = kinds[n % 4]
        mapping = "contacts" if n % 8 < 4 else "customers"
        events.append(failed(f"C{n:03}", n, seconds=n // 2, mapping=mapping, code=code, category=category))
    told(store, *events, *(resolved(each) for each in events[::3]))


FILTERS = [
    Filter(states=(State.OPEN,)),
    Filter(mappings=("contacts",)),
    Filter(codes=("too_long", "timeout"), states=(State.RESOLVED,)),
    Filter(categories=("data",)),
    Filter(fixers=("user",)),
    Filter(
        fixers=("admin", "developer"), states=(State.OPEN, State.WAITING, State.REPLAYING, State.UNCONFIRMED)
    ),
    Filter(fixers=("nobody",), mappings=("contacts",)),
    Filter(text="LONGER than"),
    Filter(text="C00"),
    Filter(text="nothing says this"),
    Filter(text="c00"),
    Filter(text="C01", codes=("too_long",)),
    Filter(mappings=("contacts",), failed_after_us=to_us(at(5)), failed_before_us=to_us(at(15))),
    Filter(codes=("unheard_of",)),
]


@pytest.mark.parametrize("wanted", FILTERS)
def test_short_pages_are_those_of_a_pass_over_all_entries(store: Store, wanted: Filter) -> None:
    mixed(store)
    every = [entry.id for entry in entries(store, wanted)]
    seen: list[str] = []
    after = None
    with store.reading() as connection:
        while page := read_page(connection, wanted, after=after, limit=4):
            seen += [entry.id for entry in page]
            after = page_key(page[-1])
        counted = count_matching(connection, wanted)
    assert seen == every
    assert counted in (len(every), None)


@pytest.mark.parametrize("wanted", [*FILTERS, Filter(states=tuple(CLOSED), over_before_us=to_us(at(9)))])
def test_entries_are_counted_by_state_and_category_with_the_newest_date(store: Store, wanted: Filter) -> None:
    mixed(store)
    numbers: Counter[tuple[State, str]] = Counter()
    newest: dict[tuple[State, str], int] = {}
    for entry in entries(store, wanted):
        kind = (entry.state, entry.category)
        numbers[kind] += 1
        newest[kind] = max(entry.last_failed_us, newest.get(kind, 0))
    with store.reading() as connection:
        told_ = count_entries(connection, wanted)
    assert told_ == [Tally(*kind, numbers[kind], newest[kind]) for kind in sorted(numbers)]


def test_filters_by_whose_it_is_divide_all_entries(store: Store) -> None:
    mixed(store)
    told(store, failed("X", 99, code="of_a_newer_worker"))
    parts = [entries(store, Filter(fixers=(fixer,))) for fixer in Fixer]
    assert sorted(entry.id for part in parts for entry in part) == sorted(
        entry.id for entry in entries(store)
    )


def test_filter_by_group_finds_its_entries(store: Store) -> None:
    mixed(store)
    for group in groups(store):
        found = entries(store, Filter(groups=(group.id,)))
        assert len(found) == group.relevant + group.closed
        with store.reading() as connection:
            assert read_page(connection, Filter(groups=(group.id,)), limit=100) == found


def test_one_group_is_read_by_its_id(store: Store) -> None:
    told(store, failed())
    with store.reading() as connection:
        assert read_group(connection, only(store).group_id, now_us=NOW) == the_group(store)
        assert read_group(connection, "nothing", now_us=NOW) is None


def test_hours_of_a_group_end_with_this_one(store: Store) -> None:
    told(store, failed(seconds=0), failed("C002", 1, seconds=3700), failed("C003", 2, seconds=3800))
    assert the_group(store, to_us(at(3900))).hours[-3:] == (0, 1, 2)
    assert the_group(store, to_us(at(86_400 + 100))).hours[:2] == (2, 0)
