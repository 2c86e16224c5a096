"""Steps 1 and 8: poll batches, hand them to their lanes, commit what is settled.

While a lane is busy or paused, its partitions are paused and polling goes on, so the worker stays in its group. Nothing
here waits for an app.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata
from structlog.typing import FilteringBoundLogger

from plumbing.unreachable import UnreachableError
from worker.lane import Done
from worker.lane_runner import LaneRunner, Place
from worker.message import Message

POLL_TIMEOUT_MS = 500
# while a batch is being written, its end is looked for this often
BUSY_POLL_MS = 50
LANE_PATIENCE_S = 0.25
HOLD_S = 1.0
STOP_TIMEOUT_S = 5.0
REVOKE_TIMEOUT_S = 20.0
COMMIT_TIMEOUT_MS = 2000


@dataclass(slots=True)
class Replays:
    """The topic of the replays, which all lanes read: committed up to where each lane has settled its part.

    `settled` has, by partition, the offset that each lane has reached.
    """

    topic: str
    lanes: int
    settled: dict[Place, dict[int, int]] = field(default_factory=dict)

    def settle(self, lane: int, done: Done) -> dict[Place, int]:
        """Return what may be committed now that a lane, by its number, has settled a batch."""
        offsets = {place: offset for place, offset in done.next_offsets.items() if place[0] != self.topic}
        for place, offset in done.next_offsets.items():
            if place[0] == self.topic:
                reached = self.settled.setdefault(place, {})
                reached[lane] = offset
                if len(reached) == self.lanes:
                    offsets[place] = min(reached.values())
        return offsets

    def clear(self) -> None:
        """Forget everything: the partitions have been taken away."""
        self.settled.clear()


@dataclass(slots=True)
class Loop:
    """The poll loop of one worker."""

    consumer: KafkaConsumer
    runners: Sequence[LaneRunner]
    batch: int
    stop: threading.Event
    log: FilteringBoundLogger
    monotonic_s: Callable[[], float]
    on_poll: Callable[[], None]
    replays: Replays
    held_until_s: dict[TopicPartition, float] = field(default_factory=dict)
    committed: dict[TopicPartition, OffsetAndMetadata] = field(default_factory=dict)

    def run(self, is_drained: Callable[["Loop"], bool] | None) -> bool:
        """Work until told to stop, or until drained; returns whether it was drained."""
        drained = False
        for runner in self.runners:
            runner.begin()
        while not self.stop.is_set():
            for number, runner in enumerate(self.runners):
                self._collect(number, runner)
            self._make_room()
            drained = is_drained is not None and self.is_idle and is_drained(self)
            if drained:
                break
            messages = self._poll(poll_timeout_ms(self.runners))
            self.on_poll()
            self._hand_out(messages)
        self._finish()
        return drained

    def _poll(self, timeout_ms: int) -> list[Message]:
        try:
            polled = self.consumer.poll(timeout_ms, max_records=self.batch)
        except KafkaError as error:
            if error.__cause__ is not None:
                raise  # it comes out of our own code, called while partitions moved
            self.log.warning("nothing polled", reason=type(error).__name__)
            self.stop.wait(timeout_ms / 1000)
            return []
        return [message for messages in polled.values() for message in messages]

    @property
    def is_idle(self) -> bool:
        """Whether nothing that was polled is still to be settled."""
        return all(runner.running is None and not runner.full for runner in self.runners)

    def release(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """Let go of everything in flight, as the partitions are taken away, and return the offsets that may be committed.

        Runs while `poll` waits for a rebalance, in the client's own thread.
        """
        # what was committed before counts too: that commit may have failed, as the group was moving already
        offsets = dict(self.committed)
        for number, runner in enumerate(self.runners):
            done = runner.let_go(REVOKE_TIMEOUT_S)
            if done is not None:
                offsets.update(self._settled_offsets(number, done))
        self.held_until_s.clear()
        self.committed.clear()
        self.replays.clear()
        return offsets

    def _go_back(self, offsets: Mapping[Place, int]) -> list[TopicPartition]:
        """Have messages polled again, and return the partitions, of which some may not be ours any more."""
        assigned = self.consumer.assignment()
        places = [place for each in offsets if (place := TopicPartition(*each)) in assigned]
        for place in places:
            self.consumer.seek(place, offsets[place])
        return places

    def _collect(self, number: int, runner: LaneRunner) -> None:
        """Commit what a lane has settled, and start what waits."""
        if runner.must_end_first:
            runner.wait(LANE_PATIENCE_S)
        done = runner.take_done()
        if done is not None:
            self._commit(number, done)
            self._hold(runner, done)
        self._decode(runner)
        starts = runner.next is not None
        runner.start_next()
        if starts and runner.next is None:
            # what was left of the messages is decoded while the lane works
            self._decode(runner)

    def _make_room(self) -> None:
        """Have polled only what there is room for."""
        now_s = self.monotonic_s()
        self.held_until_s = {place: until for place, until in self.held_until_s.items() if until > now_s}
        full = {topic for runner in self.runners if runner.full for topic in runner.sources}
        if any(runner.far_behind for runner in self.runners):
            full.add(self.replays.topic)
        assigned, paused = self.consumer.assignment(), self.consumer.paused()
        closed = {place for place in assigned if place.topic in full or place in self.held_until_s}
        self.consumer.pause(*(closed - paused))
        self.consumer.resume(*(paused - closed))

    def _hand_out(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        for runner in self.runners:
            mine = (
                messages
                if len(self.runners) == 1
                else [
                    each
                    for each in messages
                    if each.topic in runner.sources or each.topic == self.replays.topic
                ]
            )
            if mine:
                runner.take(mine)
                self._decode(runner)
                runner.start_next()

    def _decode(self, runner: LaneRunner) -> None:
        try:
            runner.decode_polled()
        except UnreachableError as error:
            self.log.warning("waiting for a service", reason=str(error))

    def _commit(self, number: int, done: Done) -> None:
        offsets = self._settled_offsets(number, done)
        if not offsets:
            return
        self.committed.update(offsets)
        self.consumer.commit_async(offsets, callback=self._log_failed_commit)

    def _settled_offsets(self, number: int, done: Done) -> dict[TopicPartition, OffsetAndMetadata]:
        next_offsets = self.replays.settle(number, done)
        return {
            TopicPartition(*place): OffsetAndMetadata(offset, "", -1)
            for place, offset in next_offsets.items()
        }

    def _log_failed_commit(self, _offsets: object, response: object) -> None:
        # the same changes will be delivered again, which does no harm
        if isinstance(response, Exception):
            self.log.warning("offsets not committed", reason=type(response).__name__)

    def _hold(self, runner: LaneRunner, done: Done) -> None:
        """Go back to changes for which there was no room, and leave their partitions alone for a while."""
        if done.full:
            runner.give_back(done.full)
            until_s = self.monotonic_s() + HOLD_S
            self.held_until_s |= dict.fromkeys(self._go_back(done.full), until_s)

    def _finish(self) -> None:
        """End what is being settled, commit it, and leave the group."""
        for number, runner in enumerate(self.runners):
            done = runner.let_go(STOP_TIMEOUT_S)
            if done is not None:
                self.committed.update(self._settled_offsets(number, done))
        mine = self.consumer.assignment()
        offsets = {place: offset for place, offset in self.committed.items() if place in mine}
        if offsets:
            try:
                self.consumer.commit(offsets, timeout_ms=COMMIT_TIMEOUT_MS)
            except KafkaError as error:
                self._log_failed_commit(offsets, error)


def poll_timeout_ms(runners: Sequence[LaneRunner]) -> int:
    """Return how long to wait for messages: not at all while some wait for a batch to end, which is what is waited for next."""
    if any(runner.must_end_first for runner in runners):
        return 0
    return BUSY_POLL_MS if any(runner.busy for runner in runners) else POLL_TIMEOUT_MS
