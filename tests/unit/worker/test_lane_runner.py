"""What waits for a lane beside the batch that it works on."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

from worker.batch import Batch, next_offsets
from worker.fault import Fault
from worker.lane import Lane
from worker.lane_runner import BYTES_AHEAD, REPLAYS_AHEAD, LaneRunner, LaneThread
from worker.loop import BUSY_POLL_MS, POLL_TIMEOUT_MS, poll_timeout_ms
from worker.message import Message, StoredMessage

READY = cast(Lane, SimpleNamespace(ready=True, paused=None))


def messages(number: int, value: bytes = b"v") -> list[Message]:
    return [StoredMessage("group.replay", 0, offset, 0, None, value) for offset in range(number)]


def runner(most: int) -> LaneRunner:
    """A lane that decodes so many messages at a time."""

    def prepare(some: Any) -> Batch:
        return Batch(some[:most], (), next_offsets(some[:most]), some[most:])

    return LaneRunner(READY, prepare, frozenset(), cast(LaneThread, None))


def test_messages_that_are_too_much_for_one_batch_wait_for_the_next() -> None:
    lane = runner(2)
    lane.take(messages(5))
    seen = []
    for _ in range(3):
        lane.decode_polled()
        assert lane.next is not None
        seen.append([each.offset for each in lane.next.messages])
        lane.next = None
    assert (seen, lane.full) == ([[0, 1], [2, 3], [4]], False)


def test_what_comes_later_stands_behind_what_was_left() -> None:
    lane = runner(2)
    lane.take(messages(3))
    lane.decode_polled()
    lane.take([StoredMessage("group.replay", 0, 9, 0, None, b"v")])
    assert [each.offset for each in lane.polled] == [2, 9]


def test_what_was_left_is_given_back_with_its_partition() -> None:
    lane = runner(2)
    lane.take(messages(3))
    lane.decode_polled()
    lane.give_back({("group.replay", 0)})
    assert (lane.next, list(lane.polled)) == (None, [])


def test_many_messages_or_large_ones_keep_replays_waiting() -> None:
    few, many, large = runner(1), runner(1), runner(1)
    few.take(messages(REPLAYS_AHEAD))
    many.take(messages(REPLAYS_AHEAD + 1))
    large.take(messages(3, bytes(BYTES_AHEAD // 2)))
    assert (few.far_behind, many.far_behind, large.far_behind) == (False, True, True)


def test_nothing_is_waited_for_while_messages_wait_for_a_batch_to_end() -> None:
    idle, busy, full = runner(1), runner(1), runner(1)
    busy.running, full.running = Future(), Future()
    full.take(messages(1))
    assert poll_timeout_ms([idle]) == POLL_TIMEOUT_MS
    assert poll_timeout_ms([idle, busy]) == BUSY_POLL_MS
    assert poll_timeout_ms([idle, busy, full]) == 0


def test_messages_of_a_paused_lane_keep_nobody_busy() -> None:
    paused = runner(1)
    paused.lane = cast(Lane, SimpleNamespace(ready=True, paused=Fault("unavailable")))
    paused.running = Future()
    paused.take(messages(1))
    assert poll_timeout_ms([paused]) == BUSY_POLL_MS
