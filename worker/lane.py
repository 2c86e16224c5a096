"""One target app's mappings, worked on by one thread, a batch at a time; the next batch is decoded meanwhile.

When the app is broken the lane pauses: it commits nothing, reports one app failure, probes with back-off by trying the
same changes again, and goes on where it stopped.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from kafka.errors import KafkaError
from sqlalchemy.exc import SQLAlchemyError
from structlog.typing import FilteringBoundLogger

from plumbing.unreachable import UnreachableError
from schemas.events import ALL_MAPPINGS, Event, Outcome
from worker.apply import Jitter
from worker.batch import Batch, Change, Deferred, Part, Translator, in_rounds
from worker.breaker import Breaker, probe_delay_s
from worker.connectors.protocol import Connector, Refused
from worker.decide import OpenFailure
from worker.fault import Fault
from worker.mappings import recompile
from worker.message import Message
from worker.metrics import WorkerMetrics
from worker.parked import follow
from worker.plan import MappingPlan
from worker.progress import Tally
from worker.report import Reporter, app_failed_event, app_failure_id, app_works_event
from worker.settle import Settled, settle
from worker.state.store import StateStore

T = TypeVar("T")

STATE = "(state store)"
ERRORS_TOPIC = "(errors topic)"
REGISTRY = "(schema registry)"
SCHEMA_CODES = frozenset({"field_missing", "entity_missing", "mapping_invalid"})


class Abandoned(Exception):  # noqa: N818  not an error: the lane was told to let go
    """The lane was told to let its batch go: nothing of what is undone may be committed."""


@dataclass(frozen=True, slots=True)
class Done:
    """A batch that is settled; offsets of `full` partitions must go back to the message that found no room."""

    batch: Batch
    next_offsets: Mapping[tuple[str, int], int]
    full: Mapping[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class Outage:
    """An app that is broken since some time: tries so far, the last of them that was reported, and as what."""

    app: str
    since: datetime
    tries: int = 0
    reported: int = 0
    code: str = ""


@dataclass(frozen=True, slots=True)
class World:
    """What a lane works with; opened by the worker's composition root. `apps` is each mapping's target app.

    `compile` gives a lane the plans that it lacks, as soon as their apps answer.
    """

    apps: Mapping[str, str]
    connectors: Mapping[str, Connector]
    state: StateStore
    reporter: Reporter
    translator: Translator
    compile: Callable[["Lane"], None]
    report: Callable[[Sequence[Event]], None]
    metrics: WorkerMetrics
    tally: Tally
    log: FilteringBoundLogger
    now: Callable[[], datetime]
    jitter: Jitter
    monotonic_s: Callable[[], float]


@dataclass(slots=True)
class Lane:
    """The working state of one lane. `plans` are its mappings; it is `ready` to settle batches when it has them all."""

    world: World
    plans: dict[str, MappingPlan]
    cancel: threading.Event = field(default_factory=threading.Event)
    breaker: Breaker = field(default_factory=Breaker)
    paused: Fault | None = None
    proven: set[str] = field(default_factory=set)
    ready: bool = False

    # what settling needs, see worker.settle.Effects
    @property
    def state(self) -> StateStore:
        """The state store."""
        return self.world.state

    @property
    def reporter(self) -> Reporter:
        """Who reports."""
        return self.world.reporter

    @property
    def now(self) -> Callable[[], datetime]:
        """The clock."""
        return self.world.now

    @property
    def jitter(self) -> Jitter:
        """A number between 0 and 1."""
        return self.world.jitter

    def connector_of(self, mapping: str) -> Connector:
        """Return the connector to a mapping's target app."""
        return self.world.connectors[self.world.apps[mapping]]

    def wait(self, seconds: float) -> None:
        """Wait; raises Abandoned when the lane is told to let go."""
        if self.cancel.wait(seconds):
            raise Abandoned

    def trips(self, changes: int, self_healing: int) -> bool:
        """Add a bulk write to the breaker's window and tell whether it is open."""
        self.breaker = self.breaker.record(self.world.monotonic_s(), changes, self_healing)
        return self_healing > 0 and self.breaker.is_open

    def send(self, events: Sequence[Event]) -> None:
        """Report events, for as long as it takes: while the error topic takes nothing, the lane is paused."""
        attempt = 0
        while events:
            try:
                self.world.report(events)
            except KafkaError as error:
                attempt += 1
                self.world.metrics.failure_events.labels("error").inc(len(events))
                self._pause(ERRORS_TOPIC, Fault("unavailable", exception_type=type(error).__name__), attempt)
                continue
            self.world.metrics.failure_events.labels("acknowledged").inc(len(events))
            break
        if attempt:
            self._resume(ERRORS_TOPIC)

    def work(self, batch: Batch, cancel: threading.Event) -> Done | None:
        """Settle a batch and return what may be committed; None when `cancel` told the lane to let go."""
        self.cancel = cancel
        started_s = self.world.monotonic_s()
        try:
            full = self._settle_batch(batch)
        except Abandoned:
            return None
        next_offsets = {
            place: min(offset, full.get(place, offset)) for place, offset in batch.next_offsets.items()
        }
        self.world.metrics.batch_done(batch, self.world.monotonic_s() - started_s, self.world.now())
        return Done(batch, next_offsets, full)

    def abort(self) -> None:
        """Break off, from another thread, what is under way in the apps: it is not committed there either."""
        for app in set(self.world.apps.values()):
            self.world.connectors[app].abort()

    def begin(self, cancel: threading.Event) -> None:
        """Learn what the apps have, and let changes follow whose record has no failure any more: a worker died before their turn.

        The lane is ready then, unless `cancel` told it to let go.
        """
        self.cancel = cancel
        try:
            self.world.compile(self)
            for name in self.plans:
                parked = self.patiently(name, partial(self.state.parked_records, name))
                self._follow(name, sorted(parked))
        except Abandoned:
            return
        self.ready = True

    def _settle_batch(self, batch: Batch) -> dict[tuple[str, int], int]:
        full: dict[tuple[str, int], int] = {}
        second: list[tuple[Part, Deferred]] = []
        for part in batch.parts:
            self._count(part.mapping.name, part.counts)
            deferred = Deferred()
            for changes in part.rounds:
                for settled in self._settle_round(part, deferred.hold_back(changes), last_chance=False):
                    deferred.add(settled.deferred)
                    _note_full(settled.full, full)
            second.append((part, deferred))
        # what failed for want of another record gets its second chance when all of the batch is in
        for part, deferred in second:
            for changes in in_rounds(deferred.changes):
                for settled in self._settle_round(part, changes, last_chance=True):
                    _note_full(settled.full, full)
        return full

    def _settle_round(self, part: Part, changes: Sequence[Change], *, last_chance: bool) -> list[Settled]:
        """Settle a round, waiting out whatever breaks the app, and count what became of it."""
        name = part.mapping.name
        if not changes:
            return []

        def attempt() -> Settled | Refused:
            plan, again = self.plans[name], changes
            if plan is not part.mapping:
                again = self._translated_anew(plan, changes)
            return settle(plan, again, self, last_chance=last_chance)

        settled = self.patiently(name, attempt)
        self._account(name, settled)
        if settled.freed:
            return [settled, *self._follow(name, settled.freed)]
        return [settled]

    def _translated_anew(self, plan: MappingPlan, changes: Sequence[Change]) -> Sequence[Change]:
        """Return the same changes for the columns that the target has now."""
        translated = (
            each if each.message.value is None else self.world.translator.again(plan, each)
            for each in changes
        )
        return [each for each in translated if each is not None]

    def _follow(self, name: str, records: Sequence[str]) -> list[Settled]:
        if not records:
            return []
        followed = self.patiently(
            name, lambda: follow(self.plans[name], records, self, self.world.translator)
        )
        for settled in followed:
            self._account(name, settled)
        self._show_parked(name)
        return followed

    def patiently(self, name: str, attempt: Callable[[], T | Refused]) -> T:
        """Attempt something until the app and the state store let it be done; raises Abandoned."""
        outage: Outage | None = None
        while True:
            self.wait(0)
            try:
                with self.world.metrics.settling(name):
                    result = attempt()
            except SQLAlchemyError as error:
                app, result = STATE, Refused(Fault("unavailable", exception_type=type(error).__name__))
            except UnreachableError as error:
                app, result = REGISTRY, Refused(Fault("unavailable", detail=str(error)))
            else:
                app = self.world.apps[name]
            if isinstance(result, Refused) and self.cancel.is_set():
                raise Abandoned
            if not isinstance(result, Refused):
                self._app_works(outage or Outage(app, self.now()))
                return result
            if outage is not None and outage.app != app:
                self._app_works(outage)
                outage = None
            outage = self._app_refuses(outage or Outage(app, self.now()), result.fault)
            if result.fault.code in SCHEMA_CODES:
                self._recompile(name)

    def _app_refuses(self, outage: Outage, fault: Fault) -> Outage:
        """Report a broken app, once for each cause and then at each of the slowest probes; wait; return the outage as it is now.

        A connection breaks first, and only the next probe tells why: the server is gone, or it refuses the login.
        """
        self.proven.discard(outage.app)
        tries = outage.tries + 1
        outage = replace(outage, tries=tries)
        if fault.code != outage.code or probe_delay_s(tries, 0) == probe_delay_s(tries + 1, 0):
            outage = replace(outage, reported=tries, code=fault.code)
            self._remember(outage, fault.code)
            self.send([app_failed_event(outage.app, fault, outage.since, tries, self.now(), self.reporter)])
        self._pause(outage.app, fault, tries)
        return outage

    def _remember(self, outage: Outage, code: str) -> None:
        """Leave a note for the worker that goes on if this one ends before the app works again."""
        failure_id = app_failure_id(outage.app, outage.since, outage.reported, self.reporter)
        # where the state store is what is broken, there is nowhere to leave it
        with suppress(SQLAlchemyError):
            self.state.remember(
                [
                    OpenFailure(
                        mapping=ALL_MAPPINGS,
                        record_id=outage.app,
                        failure_id=failure_id,
                        code=code,
                        topic="",
                        partition=0,
                        offset=0,
                        attempt=outage.tries,
                        first_failed_at=outage.since,
                        timestamp_ms=int(outage.since.timestamp() * 1000),
                    )
                ]
            )

    def _app_works(self, outage: Outage) -> None:
        """Tell that an app works that was broken, for us or for a worker that ended before it worked again."""
        app = outage.app
        if app in self.proven:
            return
        left: Sequence[OpenFailure] = ()
        with suppress(SQLAlchemyError):
            left = list(self.state.open_failures(ALL_MAPPINGS, [app]).values())
        ids = {each.failure_id for each in left}
        if outage.tries:
            ids.add(app_failure_id(app, outage.since, outage.reported, self.reporter))
        self.send([app_works_event(app, each, self.now(), self.reporter) for each in sorted(ids)])
        with suppress(SQLAlchemyError):
            self.state.forget(ALL_MAPPINGS, {each.record_id: each.failure_id for each in left})
            self.proven.add(app)
        if outage.tries:
            self._resume(app)

    def _pause(self, app: str, fault: Fault, attempt: int) -> None:
        if self.paused is None or self.paused.code != fault.code:
            self.world.log.warning("paused", app=app, code=fault.code, attempt=attempt, detail=fault.detail)
        self.paused = fault
        self.world.metrics.paused.labels(app).set(1)
        try:
            self.wait(probe_delay_s(attempt, self.jitter()))
        except Abandoned:
            # whoever works on it next pauses anew if need be; this lane may never work again
            self._unpause(app)
            raise

    def _resume(self, app: str) -> None:
        self.world.log.info("resumed", app=app)
        self._unpause(app)

    def _unpause(self, app: str) -> None:
        self.paused = None
        self.world.metrics.paused.labels(app).set(0)

    def _recompile(self, name: str) -> None:
        plan = recompile(self.plans[name], self.connector_of(name))
        if isinstance(plan, MappingPlan):
            self.plans[name] = plan

    def _account(self, name: str, settled: Settled) -> None:
        self._count(name, settled.counts)
        self.world.metrics.settled(name, settled)
        if settled.parks or settled.freed:
            self._show_parked(name)

    def _show_parked(self, name: str) -> None:
        # while the state store is away the metric shows the last number
        with suppress(SQLAlchemyError):
            self.world.metrics.parked.labels(name).set(self.state.parked_count(name))

    def _count(self, name: str, counts: Mapping[Outcome, int]) -> None:
        self.world.tally.add(name, counts)
        self.world.metrics.count(name, counts)


def _note_full(messages: Sequence[Message], full: dict[tuple[str, int], int]) -> None:
    """Note the first message of each partition for which there was no room."""
    for message in messages:
        place = (message.topic, message.partition)
        full[place] = min(message.offset, full.get(place, message.offset))
