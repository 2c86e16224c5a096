"""A group on the page: its dot and its numbers follow from where its entries stand."""

import pytest

from sink.groups import GroupState
from sink.states import State
from sink.store.groups import Group
from sink.web.page.group_list import group_line

NOW_US = 1_800_000_000_000_000


def group(state: GroupState, **states: int) -> Group:
    return Group(
        id="0123456789abcdef",
        mapping="customers",
        direction="forward",
        category="value",
        code="too_long",
        message="Row #: too long.",
        row_version=1,
        state=state,
        relevant=sum(states.values()),
        states={State(name): number for name, number in states.items()},
        first_seen_us=NOW_US,
        last_seen_us=NOW_US,
        resolved_us=None,
        regressed_us=None,
        muted_until_us=None,
        muted_up_to=None,
        muted_by=None,
        hours=(0,) * 24,
    )


@pytest.mark.parametrize(
    ("states", "numbers", "dot"),
    [
        ({"open": 1200}, "open", "open"),
        ({"waiting": 3}, "healing", "waiting"),
        ({"replaying": 3}, "replaying", "replaying"),
        ({"waiting": 3, "replaying": 1}, "3 healing, 1 replaying", "replaying"),
        ({"unconfirmed": 2, "resolved": 5}, "unconfirmed", "open"),
        ({"open": 1200, "waiting": 3, "resolved": 5}, "1,200 open, 3 healing", "open"),
    ],
)
def test_what_is_open_is_told_by_where_it_stands(states: dict[str, int], numbers: str, dot: str) -> None:
    line = group_line(group(GroupState.OPEN, **states), None, NOW_US)

    assert (line.numbers, line.dot) == (numbers, dot)


def test_a_group_that_is_over_tells_how_many_were_closed() -> None:
    line = group_line(group(GroupState.RESOLVED, resolved=1200, discarded=1), None, NOW_US)

    assert (line.numbers, line.dot) == ("1,201 closed", "resolved")


def test_a_muted_group_has_a_dot_of_its_own() -> None:
    assert group_line(group(GroupState.MUTED, open=2), None, NOW_US).dot == "muted"
