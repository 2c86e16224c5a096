"""Steps 1 and 8: poll batches, hand them to their lanes, commit what is settled.

While a lane is busy or paused, its partitions are paused and polling goes on, so the worker stays in its group. Nothing
here waits for an app.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata
from structlog.typing import FilteringBoundLogger

from plumbing.unreachable import UnreachableError
from worker.batch import Batch, next_offsets
from worker.lane import Done, Lane
from worker.message import Message

POLL_TIMEOUT_MS = 500
# while a batch is being written, its end is looked for this often
BUSY_POLL_MS = 50
LANE_PATIENCE_S = 0.25
LET_GO_S = 1.0
HOLD_S = 1.0
STOP_TIMEOUT_S = 5.0
REVOKE_TIMEOUT_S = 20.0
COMMIT_TIMEOUT_MS = 2000

Prepare = Callable[[Sequence[Message]], Batch]


class LaneThread:
    """One thread that does one thing after the other; a daemon, so that a hanging app can't keep the process from ending."""

    def __init__(self) -> None:
        self._work: SimpleQueue[tuple[Future[Done | None], Callable[[], Done | None]] | None] = SimpleQueue()
        threading.Thread(target=self._run, name="instep-lane", daemon=True).start()

    def submit(self, work: Callable[[], Done | None]) -> "Future[Done | None]":
        """Have something done when what was submitted before is."""
        future: Future[Done | None] = Future()
        self._work.put((future, work))
        return future

    def end(self) -> None:
        """Let the thread end when it has nothing to do any more."""
        self._work.put(None)

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            future, work = item
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001  handed to the loop, which ends the worker
                future.set_exception(error)


@dataclass(slots=True)
class LaneRunner:
    """A lane with its thread: at most one batch being settled and one decoded in advance."""

    lane: Lane
    prepare: Prepare
    topics: frozenset[str]
    thread: LaneThread
    running: Future[Done | None] | None = None
    cancel: threading.Event = field(default_factory=threading.Event)
    polled: Sequence[Message] = ()
    next: Batch | None = None

    @property
    def busy(self) -> bool:
        """Whether a batch is being settled."""
        return self.running is not None and not self.running.done()

    @property
    def full(self) -> bool:
        """Whether there is no room for more messages."""
        return self.next is not None or bool(self.polled)

    def decode_polled(self) -> None:
        """Decode polled messages in advance; raises UnreachableError, and keeps them, while the schema registry is away."""
        if self.polled and self.next is None:
            self.next = self.prepare(self.polled)
            self.polled = ()

    def take_done(self) -> Done | None:
        """Return the settled batch, if there is one; raises what broke the lane."""
        if self.running is None or not self.running.done():
            return None
        running, self.running = self.running, None
        return running.result()

    def begin(self) -> None:
        """Have the lane do first what a worker that died may have left."""
        self.running = self.thread.submit(partial(self.lane.begin, self.cancel))

    def start_next(self) -> None:
        """Hand the waiting batch to the lane's thread, if that is free."""
        if self.next is not None and self.running is None:
            batch, self.next = self.next, None
            self.cancel = threading.Event()
            self.running = self.thread.submit(partial(self.lane.work, batch, self.cancel))

    def wait(self, timeout_s: float) -> None:
        """Wait for the running batch."""
        if self.running is not None:
            wait([self.running], timeout_s)

    def let_go(self, timeout_s: float) -> Done | None:
        """Drop the waiting batch, end the running one (a paused lane gives up at once), and return what it settled.

        What is not ended in time is broken off in the app too: written later, it would overwrite what others write by then.
        """
        self.next, self.polled = None, ()
        if self.lane.paused is not None:
            self.cancel.set()
        self.wait(timeout_s)
        self.cancel.set()
        self.wait(LET_GO_S)
        if self.busy:
            self.lane.abort()
            self.wait(LET_GO_S)
        done = self.take_done()
        self.running = None
        return done


@dataclass(slots=True)
class SharedOffsets:
    """Offsets of the topic that all lanes share, that of the replays: committed when each lane has settled its part.

    `waiting` has, by partition, the offsets handed out, in order, each with how many lanes are still at it.
    """

    topic: str
    lanes: int
    waiting: dict[tuple[str, int], dict[int, int]] = field(default_factory=dict)

    def hand_out(self, next_offsets: Mapping[tuple[str, int], int]) -> None:
        """Note that all lanes got messages up to these offsets."""
        for place, offset in next_offsets.items():
            if place[0] == self.topic:
                self.waiting.setdefault(place, {})[offset] = self.lanes

    def settle(self, done: Done) -> dict[tuple[str, int], int]:
        """Return what may be committed now that one lane has settled a batch."""
        settled = {place: offset for place, offset in done.next_offsets.items() if place[0] != self.topic}
        for place, offset in done.next_offsets.items():
            handed = self.waiting.get(place, {})
            if place[0] == self.topic and offset in handed:
                handed[offset] -= 1
                while handed and not next(iter(handed.values())):
                    first = next(iter(handed))
                    del handed[first]
                    settled[place] = first
        return settled

    def clear(self) -> None:
        """Forget everything: the partitions have been taken away."""
        self.waiting.clear()


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
    shared: "SharedOffsets"
    held_until_s: dict[TopicPartition, float] = field(default_factory=dict)
    committed: dict[TopicPartition, OffsetAndMetadata] = field(default_factory=dict)

    def run(self, is_drained: Callable[["Loop"], bool] | None) -> None:
        """Work until told to stop, or until drained."""
        for runner in self.runners:
            runner.begin()
        while not self.stop.is_set():
            for runner in self.runners:
                self._collect(runner)
            if is_drained is not None and self.is_idle and is_drained(self):
                break
            busy = any(runner.busy for runner in self.runners)
            messages = self._poll(BUSY_POLL_MS if busy else POLL_TIMEOUT_MS)
            self.on_poll()
            self._hand_out(messages)
        self._finish()

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
        for runner in self.runners:
            done = runner.let_go(REVOKE_TIMEOUT_S)
            if done is not None:
                offsets.update(self._settled_offsets(done))
        self.held_until_s.clear()
        self.committed.clear()
        self.shared.clear()
        return offsets

    def _collect(self, runner: LaneRunner) -> None:
        """Commit what a lane has settled, start what waits, and have polled only what there is room for."""
        if runner.full and runner.busy and runner.lane.paused is None:
            runner.wait(LANE_PATIENCE_S)
        done = runner.take_done()
        if done is not None:
            self._commit(done)
            self._hold(done)
        self._decode(runner)
        runner.start_next()
        mine = [each for each in self.consumer.assignment() if each.topic in runner.topics]
        if runner.full:
            self.consumer.pause(*mine)
        elif self.consumer.paused():
            now_s = self.monotonic_s()
            self.held_until_s = {place: until for place, until in self.held_until_s.items() if until > now_s}
            self.consumer.resume(*(each for each in mine if each not in self.held_until_s))

    def _hand_out(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        self.shared.hand_out(next_offsets(messages))
        for runner in self.runners:
            mine = (
                messages
                if len(self.runners) == 1
                else [message for message in messages if message.topic in runner.topics]
            )
            if mine:
                runner.polled = mine
                self._decode(runner)
                runner.start_next()

    def _decode(self, runner: LaneRunner) -> None:
        try:
            runner.decode_polled()
        except UnreachableError as error:
            self.log.warning("waiting for a service", reason=str(error))

    def _commit(self, done: Done) -> None:
        offsets = self._settled_offsets(done)
        if not offsets:
            return
        self.committed.update(offsets)
        self.consumer.commit_async(offsets, callback=self._log_failed_commit)

    def _settled_offsets(self, done: Done) -> dict[TopicPartition, OffsetAndMetadata]:
        next_offsets = self.shared.settle(done)
        return {
            TopicPartition(*place): OffsetAndMetadata(offset, "", -1)
            for place, offset in next_offsets.items()
        }

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
                self.committed.update(self._settled_offsets(done))
        mine = self.consumer.assignment()
        offsets = {place: offset for place, offset in self.committed.items() if place in mine}
        if offsets:
            try:
                self.consumer.commit(offsets, timeout_ms=COMMIT_TIMEOUT_MS)
            except KafkaError as error:
                self._log_failed_commit(offsets, error)
