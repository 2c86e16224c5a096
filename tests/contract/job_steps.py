"""Replay jobs worked on without Kafka: what is claimed counts as sent."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from schemas.events import Decision, ReplayRequest, Resolution
from sink.actions import Actor
from sink.job_actions import JobOrder, start_job
from sink.job_runner import JobRunner
from sink.store import replays
from sink.store.jobs import Job, read_job
from sink.store.store import Store
from tests.contract.stored import NOW, entries, told
from tests.sink_events import failed, resolved

ANN = Actor("ann", "cli")
SECOND_US = 1_000_000
ORDER = JobOrder(Decision.RETRY, None, None, 0, "all")


@dataclass
class Works:
    """One sink at work on the jobs of a store, at a time of its own."""

    store: Store
    sink: str = "one"
    now_us: int = NOW
    claims: bool = True
    sent: list[ReplayRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runner = JobRunner(self.store, self, self.sink, lambda: self.now_us)

    def send(self) -> int:
        """Take a portion of what waits as sent."""
        with self.store.writing() as connection:
            outgoing = replays.claim(connection, self.now_us, 500)
            replays.mark_sent(connection, [each.request.replay_id for each in outgoing], self.now_us)
        self.sent += [each.request for each in outgoing]
        return len(outgoing)

    def may_claim(self) -> bool:
        """Whether requests may be claimed as they are asked for."""
        return self.claims

    def send_claimed(self, replay_ids: Sequence[str], claimed_us: int) -> None:
        """Take requests as sent that were claimed as they were asked for."""
        with self.store.writing() as connection:
            outgoing, left = replays.read_claimed(connection, replay_ids, claimed_us)
            replays.mark_sent(connection, [each.request.replay_id for each in outgoing], claimed_us)
        self.sent += [each.request for each in outgoing]
        assert left == []

    def run(self, seconds: float = 2.0) -> list[ReplayRequest]:
        """Run once, after so many seconds; returns what is sent."""
        self.now_us += int(seconds * SECOND_US)
        before = len(self.sent)
        self.runner.run()
        return self.sent[before:]

    def answer(self, requests: Sequence[ReplayRequest], *, well: bool = True) -> None:
        """Have the worker answer."""
        events = []
        for each in requests:
            change = failed(each.record_id, each.position.offset)
            again = failed(each.record_id, each.position.offset, 2, replay_id=each.replay_id)
            done = resolved(change, Resolution.REPLAY, replay_id=each.replay_id)
            events.append(done if well else again)
        told(self.store, *events)


def some(store: Store, number: int) -> list[str]:
    """Have so many entries; returns their ids."""
    told(store, *(failed(f"C{n:05}", n) for n in range(number)))
    return [entry.id for entry in sorted(entries(store), key=lambda entry: entry.record_id)]


def started(store: Store, ids: Sequence[str], order: JobOrder = ORDER) -> Job:
    answer = start_job(store, ids, order, ANN)
    assert isinstance(answer, Job), answer
    return answer


def seen(store: Store, of: Job) -> Job:
    with store.reading() as connection:
        found = read_job(connection, of.id)
    assert found is not None
    return found
