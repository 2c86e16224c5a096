"""Settling with a real state store and a real target, killed between any two of its effects."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.events import Decision
from tests.integration.settling import World

Order = Literal["latest", "strict"]


@pytest.fixture(params=["latest", "strict"])
def world(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[World]:
    """A fresh world for each order, with its state in each database."""
    made = World(tmp_path, request.param, state_url=database_url)
    yield made
    made.close()


def test_good_changes_arrive_and_bad_ones_are_entries(world: World) -> None:
    world.change("A", "good")
    world.change("B", "bad")

    world.deliver(10)

    assert world.rows() == {"A": "good"}
    assert list(world.entries.open) == ["B"]
    assert world.entries.open["B"].code == "rejected_by_app"


def test_a_later_change_supersedes_the_failure_or_waits_behind_it(world: World) -> None:
    world.change("A", "bad")
    world.deliver(1)
    world.change("A", "later")
    world.deliver(1)

    if world.mapping.order == "latest":
        assert (world.rows(), world.entries.open) == ({"A": "later"}, {})
    else:
        assert world.rows() == {}
        assert world.state.parked_count("customers") == 1


def test_parked_changes_follow_the_replayed_one_in_order(world: World) -> None:
    for name in ("bad", "second", "third"):
        world.change("A", name)
        world.deliver(1)
    world.allow_everything()

    world.replay("A")

    assert world.rows() == {"A": "third"}
    assert world.entries.open == {}
    if world.mapping.order == "strict":
        assert world.written("A") == ["bad", "second", "third"]
        assert world.state.parked_count("customers") == 0


def test_parked_changes_follow_one_that_is_given_up(world: World) -> None:
    for name in ("bad", "second"):
        world.change("A", name)
        world.deliver(1)

    world.replay("A", Decision.DROP)

    assert world.rows() == {"A": "second"}
    assert world.state.parked_count("customers") == 0


def test_a_replay_never_overwrites_anything_newer(world: World) -> None:
    world.change("A", "bad")
    world.deliver(1)
    stale = world.entries.last["A"]
    world.allow_everything()
    world.change("A", "newer")
    world.deliver(1)
    world.replay("A")
    assert stale.position is not None

    assert world.rows() == {"A": "newer"}


def test_a_replay_that_fails_again_counts_up_and_stays_open(world: World) -> None:
    world.change("A", "bad")
    world.deliver(1)

    world.replay("A")

    assert [each.attempt for each in world.entries.open.values()] == [2]


def test_of_replays_that_come_together_each_has_its_own_end(world: World) -> None:
    for number in "ABC":
        world.change(number, "bad")
    world.deliver(3)
    world.allow_everything()
    world.replay("C")
    world.target.execute(
        "create trigger no_b before insert on account when new.number = 'B' begin select raise(abort, 'refused'); end"
    )

    world.replay("ABC")

    assert world.rows() == {"A": "bad", "C": "bad"}
    assert world.written("C") == ["bad"]
    assert {record: each.attempt for record, each in world.entries.open.items()} == {"B": 2}
    world.target.execute("drop trigger no_b")
    world.replay("ABC")
    assert world.entries.open == {}


@pytest.mark.parametrize("step", range(6))
def test_a_replay_that_fails_again_counts_once_whenever_the_worker_is_killed(world: World, step: int) -> None:
    world.change("A", "bad")
    world.deliver(1)

    world.replay("A", killed_after=step)

    assert len(world.entries.seen) == 2
    assert [each.attempt for each in world.entries.open.values()] == [2]


def test_the_same_messages_delivered_twice_change_nothing(world: World) -> None:
    for number, name in (("A", "good"), ("B", "bad"), ("A", "better")):
        world.change(number, name)
    world.deliver(10)
    before = (world.rows(), set(world.entries.seen))
    world.committed = 0

    world.deliver(10)

    assert (world.rows(), set(world.entries.seen)) == before


def test_a_record_with_too_many_changes_has_its_partition_wait_and_loses_none(tmp_path: Path) -> None:
    world = World(tmp_path, "strict", max_parked=5)
    for number in range(9):
        world.change("A", f"bad{number}")

    world.deliver(9)

    assert world.state.parked_count("customers") == 5
    assert world.without_room == [6, 7, 8]
    world.committed = world.without_room[0]
    world.allow_everything()
    world.replay("A")
    world.settle_everything()
    assert world.written("A") == [f"bad{number}" for number in range(9)]
    world.close()


def test_too_many_records_with_parked_changes_have_their_partition_wait(tmp_path: Path) -> None:
    world = World(tmp_path, "strict", max_parked=2)
    for number in "ABC":
        world.change(number, "bad")
        world.change(number, "later")

    world.deliver(6)

    assert world.without_room == [5]
    world.close()


@pytest.mark.parametrize("step", range(8))
def test_killed_while_a_change_fails_and_repaired_before_it_comes_again(world: World, step: int) -> None:
    world.change("A", "bad")
    world.deliver(1, killed_after=step)
    if world.committed:
        return  # it was done before it would have been killed
    world.allow_everything()

    world.settle_everything()

    assert (world.rows(), world.entries.open) == ({"A": "bad"}, {})


@pytest.mark.parametrize("step", range(8))
def test_killed_while_a_failure_is_resolved_by_a_later_change(world: World, step: int) -> None:
    world.change("A", "bad")
    world.deliver(1)
    world.change("A", "later")
    world.deliver(1, killed_after=step)
    world.settle_everything()

    if world.mapping.order == "latest":
        assert (world.rows(), world.entries.open) == ({"A": "later"}, {})
    else:
        assert (world.rows(), list(world.entries.open)) == ({}, ["A"])


@pytest.mark.parametrize("step", range(12))
def test_killed_while_a_replay_and_what_follows_it_are_written(world: World, step: int) -> None:
    for name in ("bad", "bad too", "third"):
        world.change("A", name)
    if world.mapping.order == "strict":
        world.deliver(3)
    else:
        world.deliver(1)
    world.allow_everything()

    world.replay("A", killed_after=step)

    assert world.entries.open == {}
    world.settle_everything()
    assert world.rows() == {"A": "third"}
    assert world.state.parked_count("customers") == 0


def test_what_a_failed_change_alone_brings_is_not_lost_to_a_later_one(world: World) -> None:
    world.change("A", "bad", "Delft")
    world.deliver(1)
    world.change_without_name("A", "Leiden")
    world.deliver(1)
    assert (world.whole_rows(), list(world.entries.open)) == ({}, ["A"])
    world.allow_everything()

    world.replay("A")

    assert world.whole_rows() == {"A": ("bad", "Leiden")}
    assert world.entries.open == {}


def with_one_behind_a_failure(folder: Path) -> World:
    """A failed change, and one behind it that does not bring its name."""
    world = World(folder, "latest")
    world.change("A", "bad", "Delft")
    world.deliver(1)
    world.change_without_name("A", "Leiden")
    return world


def test_a_whole_change_takes_the_place_of_a_failure_and_of_what_waits_behind_it(tmp_path: Path) -> None:
    world = with_one_behind_a_failure(tmp_path)
    world.change("A", "good", "Breda")

    world.deliver(2)

    assert world.whole_rows() == {"A": ("good", "Breda")}
    assert (world.entries.open, world.state.parked_count("customers")) == ({}, 0)
    world.close()


def test_a_whole_change_that_fails_too_takes_what_waits_with_it(tmp_path: Path) -> None:
    world = with_one_behind_a_failure(tmp_path)
    world.change("A", "bad again", "Breda")
    world.deliver(2)
    assert world.state.parked_count("customers") == 0
    world.allow_everything()

    world.replay("A")

    assert world.whole_rows() == {"A": ("bad again", "Breda")}
    world.close()


def test_a_change_that_brings_all_that_the_failed_one_does_takes_its_place(tmp_path: Path) -> None:
    world = World(tmp_path, "latest")
    world.change("A", "good", "Delft")
    world.deliver(1)
    world.target.execute(
        "create trigger no_leiden before update on account when new.city = 'Leiden' begin select raise(abort, 'refused'); end"
    )
    world.change_without_name("A", "Leiden")
    world.deliver(1)
    assert list(world.entries.open) == ["A"]
    world.change_without_name("A", "Breda")

    world.deliver(1)

    assert world.whole_rows() == {"A": ("good", "Breda")}
    assert world.entries.open == {}
    world.close()


def test_a_parked_change_that_fails_as_it_follows_keeps_what_is_parked_behind_it(tmp_path: Path) -> None:
    world = with_one_behind_a_failure(tmp_path)
    world.change_without_city("A", "good")
    world.deliver(2)
    world.target.execute(
        "create trigger no_leiden before update on account when new.city = 'Leiden' begin select raise(abort, 'refused'); end"
    )
    world.allow_everything()
    world.replay("A")
    world.change_without_name("A", "Gouda")
    world.deliver(1)
    assert world.state.parked_count("customers") == 2
    world.target.execute("drop trigger no_leiden")

    world.replay("A")

    assert world.whole_rows() == {"A": ("good", "Gouda")}
    assert (world.entries.open, world.state.parked_count("customers")) == ({}, 0)
    world.close()


CHANGE = st.tuples(st.just("change"), st.sampled_from("ABC"), st.sampled_from(["good", "bad"]))
DELIVER = st.tuples(st.just("deliver"), st.integers(1, 4), st.none() | st.integers(0, 8))
REPLAY = st.tuples(st.just("replay"), st.sampled_from(["A", "B", "C", "ABC"]), st.none() | st.integers(0, 8))
ALLOW = st.tuples(st.just("allow"), st.none(), st.none())
PART = st.tuples(st.just("part"), st.sampled_from("ABC"), st.sampled_from(["name", "city"]))


@pytest.mark.parametrize("order", ["latest", "strict"])
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(acts=st.lists(st.one_of(CHANGE, CHANGE, PART, DELIVER, DELIVER, REPLAY, ALLOW), max_size=25))
def test_whenever_it_is_killed_target_and_entries_end_true(
    order: Order, database_url: str, acts: list[tuple[Any, Any, Any]]
) -> None:
    with TemporaryDirectory() as folder:
        world = World(Path(folder), order, state_url=database_url)
        for number, (act, first, second) in enumerate(acts):
            match act:
                case "change":
                    world.change(first, f"{second}{number}", f"city{number}")
                case "part" if first in world.expected():
                    if second == "name":
                        world.change_without_name(first, f"city{number}")
                    else:
                        world.change_without_city(first, f"good{number}")
                case "deliver":
                    world.deliver(first, second)
                case "replay":
                    world.replay(first, Decision.RETRY, second)
                case "allow":
                    world.allow_everything()
        world.settle_everything()

        rows = world.whole_rows()
        wrong = {record for record, row in world.whole_expected().items() if rows.get(record) != row}
        assert wrong <= set(world.entries.open), "a record is wrong and no entry says so"
        if order == "latest":
            assert wrong == set(world.entries.open), "an entry is open and its record is right"

        world.allow_everything()
        world.replay("".join(sorted(world.entries.open)))
        assert world.whole_rows() == world.whole_expected()
        assert world.entries.open == {}
        assert world.state.parked_count("customers") == 0
        world.close()
