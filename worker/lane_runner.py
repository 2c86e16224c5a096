"""A lane beside the poll loop: its thread, the batch that it settles, and what waits to be its next one."""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue

from worker.batch import Batch
from worker.lane import Done, Lane
from worker.message import Message

LET_GO_S = 1.0
# how soon it is seen that a lane has come to be paused
LOOK_S = 0.25
# so many replays, or bytes of them, may wait for a lane that is busy or paused while the others go on with theirs
REPLAYS_AHEAD = 5000
BYTES_AHEAD = 16 << 20

Prepare = Callable[[Sequence[Message]], Batch]
Place = tuple[str, int]


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
    """A lane with its thread: at most one batch being settled and one decoded in advance.

    `sources` are the topics that no other lane reads; replays come to all lanes.
    """

    lane: Lane
    prepare: Prepare
    sources: frozenset[str]
    thread: LaneThread
    running: Future[Done | None] | None = None
    cancel: threading.Event = field(default_factory=threading.Event)
    next: Batch | None = None
    polled: Sequence[Message] = ()

    @property
    def busy(self) -> bool:
        """Whether a batch is being settled."""
        return self.running is not None and not self.running.done()

    @property
    def full(self) -> bool:
        """Whether there is no room for more messages."""
        return self.next is not None or bool(self.polled)

    @property
    def must_end_first(self) -> bool:
        """Whether messages wait for a batch that is being settled, with nothing in its way."""
        return self.full and self.busy and self.lane.paused is None

    @property
    def far_behind(self) -> bool:
        """Whether so much waits that even replays have to; a message may hold hundreds of them."""
        waiting = self.polled
        return len(waiting) > REPLAYS_AHEAD or sum(len(each.value or b"") for each in waiting) > BYTES_AHEAD

    def take(self, messages: Sequence[Message]) -> None:
        """Add polled messages to those that wait."""
        self.polled = [*self.polled, *messages] if self.polled else messages

    def give_back(self, places: Collection[Place]) -> None:
        """Drop what waits from these partitions; the rest is decoded again."""
        self.polled = [each for each in self._waiting() if (each.topic, each.partition) not in places]
        self.next = None

    def decode_polled(self) -> None:
        """Decode polled messages in advance; raises UnreachableError, and keeps them, while the schema registry is away.

        They are kept, too, until the lane is ready: without its plans nothing could be made of them.
        """
        if self.polled and self.next is None and self.lane.ready:
            self.next = self.prepare(self.polled)
            self.polled = self.next.left

    def take_done(self) -> Done | None:
        """Return the settled batch, if there is one; raises what broke the lane."""
        if self.running is None or not self.running.done():
            return None
        running, self.running = self.running, None
        return running.result()

    def begin(self) -> None:
        """Have the lane get ready."""
        self.cancel = threading.Event()
        self.running = self.thread.submit(partial(self.lane.begin, self.cancel))

    def start_next(self) -> None:
        """Hand the waiting batch to the lane's thread, if that is free; a lane that had to let go before it was ready tries again."""
        if self.running is None and not self.lane.ready:
            self.begin()
        elif self.next is not None and self.running is None:
            batch, self.next = self.next, None
            self.cancel = threading.Event()
            self.running = self.thread.submit(partial(self.lane.work, batch, self.cancel))

    def wait(self, timeout_s: float) -> None:
        """Wait for the running batch."""
        if self.running is not None:
            wait([self.running], timeout_s)

    def let_go(self, timeout_s: float) -> Done | None:
        """Drop the waiting batch, end the running one and return it if it is settled; a lane that is paused, or not ready, gives up at once.

        What is not ended in time is broken off in the app too: written later, it would overwrite what others write by then.
        """
        self.next, self.polled = None, ()
        until_s = time.monotonic() + timeout_s
        while self.busy and (left_s := until_s - time.monotonic()) > 0:
            if self.lane.paused is not None or not self.lane.ready:
                self.cancel.set()
            self.wait(min(LOOK_S, left_s))
        self.cancel.set()
        self.wait(LET_GO_S)
        if self.busy:
            self.lane.abort()
            self.wait(LET_GO_S)
        done = self.take_done()
        self.running = None
        return done

    def _waiting(self) -> list[Message]:
        return [*(self.next.messages if self.next is not None else ()), *self.polled]
