"""Steps 1 and 8: poll batches, hand them to their lanes, commit what is settled.

While a lane is busy or paused, its partitions are paused and polling goes on, so the worker stays in its group. Nothing
here waits for an app.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata
from structlog.typing import FilteringBoundLogger

from worker.batch import Batch
from worker.lane import Done, Lane
from worker.message import Message

POLL_TIMEOUT_MS = 500
# while a batch is being written, its end is looked for this often
BUSY_POLL_MS = 50
LANE_PATIENCE_S = 0.25
HOLD_S = 1.0
STOP_TIMEOUT_S = 8.0
REVOKE_TIMEOUT_S = 20.0
COMMIT_TIMEOUT_MS = 5000
POSITION_TIMEOUT_MS = 100

Prepare = Callable[[Sequence[Message]], Batch]


@dataclass(slots=True)
class LaneRunner:
    """A lane with its thread: at most one batch being settled and one decoded in advance."""

    lane: Lane
    prepare: Prepare
    topics: frozenset[str]
    executor: ThreadPoolExecutor
    running: Future[Done | None] | None = None
    next: Batch | None = None

    @property
    def busy(self) -> bool:
        """Whether a batch is being settled."""
        return self.running is not None and not self.running.done()

    def offer(self, messages: Sequence[Message]) -> None:
        """Decode polled messages in advance; call only while none are waiting."""
        self.next = self.prepare(messages)

    def take_done(self) -> Done | None:
        """Return the settled batch, if there is one; raises what broke the lane."""
        if self.running is None or not self.running.done():
            return None
        running, self.running = self.running, None
        return running.result()

    def start_next(self) -> None:
        """Hand the waiting batch to the lane's thread, if that is free."""
        if self.next is not None and self.running is None:
            batch, self.next = self.next, None
            self.running = self.executor.submit(self.lane.work, batch)

    def wait(self, timeout_s: float) -> None:
        """Wait for the running batch."""
        if self.running is not None:
            wait([self.running], timeout_s)

    def let_go(self, timeout_s: float) -> Done | None:
        """Drop the waiting batch, end the running one (a paused lane gives up at once), and return what it settled."""
        self.next = None
        if self.lane.paused is not None:
            self.lane.cancel.set()
        self.wait(timeout_s)
        self.lane.cancel.set()
        self.wait(1.0)
        done = self.take_done()
        self.lane.cancel.clear()
        return done


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
    held_until_s: dict[TopicPartition, float] = field(default_factory=dict)
    committed: dict[TopicPartition, OffsetAndMetadata] = field(default_factory=dict)

    def run(self, is_drained: Callable[["Loop"], bool] | None) -> None:
        """Work until told to stop, or until drained."""
        while not self.stop.is_set():
            self._collect()
            if is_drained is not None and self.is_idle and is_drained(self):
                break
            busy = any(runner.busy for runner in self.runners)
            polled = self.consumer.poll(BUSY_POLL_MS if busy else POLL_TIMEOUT_MS, max_records=self.batch)
            self.on_poll()
            self._hand_out([message for messages in polled.values() for message in messages])
            self._resume_free()
        self._finish()

    @property
    def is_idle(self) -> bool:
        """Whether nothing that was polled is still to be settled."""
        return all(runner.running is None and runner.next is None for runner in self.runners)

    def release(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """Let go of everything in flight, as the partitions are taken away, and return the offsets that may be committed.

        Runs while `poll` waits for a rebalance, in the client's own thread.
        """
        done = [each for runner in self.runners if (each := runner.let_go(REVOKE_TIMEOUT_S)) is not None]
        self.held_until_s.clear()
        self.committed.clear()
        return {place: offset for each in done for place, offset in _offsets(each).items()}

    def _collect(self) -> None:
        """Commit what is settled and start what waits."""
        for runner in self.runners:
            if runner.next is not None and runner.busy and runner.lane.paused is None:
                runner.wait(LANE_PATIENCE_S)
            done = runner.take_done()
            if done is not None:
                self._commit(done)
                self._hold(done)
            runner.start_next()

    def _hand_out(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        for runner in self.runners:
            mine = (
                messages
                if len(self.runners) == 1
                else [message for message in messages if message.topic in runner.topics]
            )
            if mine:
                runner.offer(mine)
                runner.start_next()
            if runner.next is not None:
                self.consumer.pause(*self._partitions(runner))

    def _resume_free(self) -> None:
        paused = self.consumer.paused()
        if not paused:
            return
        now_s = self.monotonic_s()
        self.held_until_s = {place: until for place, until in self.held_until_s.items() if until > now_s}
        for runner in self.runners:
            if runner.next is None:
                free = [each for each in self._partitions(runner) if each not in self.held_until_s]
                self.consumer.resume(*free)

    def _partitions(self, runner: LaneRunner) -> list[TopicPartition]:
        return [each for each in self.consumer.assignment() if each.topic in runner.topics]

    def _commit(self, done: Done) -> None:
        offsets = _offsets(done)
        self.committed.update(offsets)
        self.consumer.commit_async(offsets, callback=self._log_failed_commit)

    def _log_failed_commit(self, _offsets: object, response: object) -> None:
        # the same changes will be delivered again, which does no harm
        if isinstance(response, Exception):
            self.log.warning("offsets not committed", reason=type(response).__name__)

    def _hold(self, done: Done) -> None:
        """Go back to changes for which there was no room, and leave their partitions alone for a while."""
        for (topic, partition), offset in done.full.items():
            place = TopicPartition(topic, partition)
            if place in self.consumer.assignment():
                self.consumer.seek(place, offset)
                self.consumer.pause(place)
                self.held_until_s[place] = self.monotonic_s() + HOLD_S

    def _finish(self) -> None:
        """End what is being settled, commit it, and leave the group."""
        for runner in self.runners:
            done = runner.let_go(STOP_TIMEOUT_S)
            if done is not None:
                self.committed.update(_offsets(done))
        mine = self.consumer.assignment()
        offsets = {place: offset for place, offset in self.committed.items() if place in mine}
        if offsets:
            try:
                self.consumer.commit(offsets, timeout_ms=COMMIT_TIMEOUT_MS)
            except KafkaError as error:
                self._log_failed_commit(offsets, error)


def lags(consumer: KafkaConsumer) -> Mapping[TopicPartition, int]:
    """Return how many messages of each assigned partition are not polled yet, as far as the last fetch told."""
    known: dict[TopicPartition, int] = {}
    for place in consumer.assignment():
        end = consumer.highwater(place)
        if end is not None:
            known[place] = max(0, end - (consumer.position(place, timeout_ms=POSITION_TIMEOUT_MS) or 0))
    return known


def _offsets(done: Done) -> dict[TopicPartition, OffsetAndMetadata]:
    return {
        TopicPartition(*place): OffsetAndMetadata(offset, "", -1) for place, offset in done.next_offsets.items()
    }
