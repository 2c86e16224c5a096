"""The worker's composition root: opens Kafka, state, apps and metrics, runs the loop, closes everything."""

import gc
import random
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from plumbing.kafka import close_consumer, consumer, until_reachable
from schemas.config.model import Config
from schemas.events import SyncProgress
from worker.batch import Batch, Part, by_topic, next_offsets
from worker.drain import Drain, ends_now
from worker.lane import Lane, World
from worker.lane_runner import LaneRunner, LaneThread
from worker.loop import Loop, Replays
from worker.message import Message
from worker.opening import (
    Services,
    WrongConfiguration,
    compile_plans,
    compile_waiting,
    open_consumer,
    open_services,
    open_translator,
    split_into_lanes,
    wrong_targets,
)
from worker.originals import Originals
from worker.progress import Heartbeat, Tally
from worker.rebalance import Handover
from worker.replay import requests_in
from worker.report import Reporter
from worker.state.store import StateStore

DONE, FAILED = 0, 1
# with what the loop takes to end, within the ten seconds that a stop may take
LEAVE_TIMEOUT_S = 1.5
# decoding runs beside the lanes' and the client's threads, which else wait 5 ms each time they want the interpreter back
SWITCH_INTERVAL_S = 0.0005
# A batch is many values that live for a moment and form no cycles: looking for cycles takes a fifth of the time. What is
# loaded is not looked at at all.
COLLECT_AFTER = 100_000


def run(config: Config, *, drain: bool, stop: threading.Event) -> int | list[WrongConfiguration]:
    """Run a worker until `stop` is set, or, with `drain`, until everything that is in its topics now is settled.

    Returns an exit code, or what is wrong in the configuration: then nothing was consumed.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    with ExitStack() as closing:
        services = open_services(config, stop, closing)
        if not isinstance(services, Services):
            return services or _stopped(drain=drain)
        tally = Tally(list(config.mappings), datetime.now(UTC))
        lanes = [
            _lane(config, services, tally, names, stop, closing)
            for names in split_into_lanes(config.mappings)
        ]
        wrong = [each for lane in lanes for each in compile_plans(lane, config)]
        if wrong:
            return wrong
        try:
            return Worker(config, services, lanes, tally, closing).work(drain=drain, stop=stop)
        except Exception as error:
            if wrong := wrong_targets(error):
                return wrong
            # a bug of ours: the one place that says so; nothing of it was committed
            services.log.exception("the worker ends, as it met an error that it does not know")
            return FAILED


def _stopped(*, drain: bool) -> int:
    """Return the exit code of a worker that was told to stop: a drain is not done then."""
    return FAILED if drain else DONE


def _lane(
    config: Config,
    services: Services,
    tally: Tally,
    names: Sequence[str],
    stop: threading.Event,
    closing: ExitStack,
) -> Lane:
    world = World(
        apps={each: config.mappings[each].target.app for each in names},
        connectors=services.connectors,
        state=StateStore(services.engine, config.kafka.group),
        reporter=Reporter(services.name, version("instep"), config.kafka.replay_topic),
        translator=open_translator(config, closing),
        compile=lambda lane: compile_waiting(lane, config),
        report=services.errors.report,
        metrics=services.metrics,
        tally=tally,
        log=services.log,
        now=lambda: datetime.now(UTC),
        jitter=random.random,
        monotonic_s=time.monotonic,
    )
    return Lane(world, {}, cancel=stop)


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker with everything open, about to join its group."""

    config: Config
    services: Services
    lanes: Sequence[Lane]
    tally: Tally
    closing: ExitStack

    def work(self, *, drain: bool, stop: threading.Event) -> int:
        """Join the group and run the loop; returns the exit code."""
        kafka, log = self.config.kafka, self.services.log
        opened = until_reachable(lambda: open_consumer(self.config), stop)
        if opened is None:
            return _stopped(drain=drain)
        self.closing.callback(close_consumer, opened, LEAVE_TIMEOUT_S)
        topics = [
            *dict.fromkeys(each.source.topic for each in self.config.mappings.values()),
            kafka.replay_topic,
        ]
        ends = ends_now(opened, topics) if drain else {}
        loop = Loop(
            consumer=opened,
            runners=[self._runner(lane) for lane in self.lanes],
            batch=self.config.worker.batch,
            stop=stop,
            log=log,
            monotonic_s=time.monotonic,
            on_poll=lambda: self.services.metrics.note_lag(opened, time.monotonic()),
            replays=Replays(kafka.replay_topic, len(self.lanes)),
        )
        opened.subscribe(topics, listener=Handover(opened, loop.release, log))
        beat = Heartbeat(self._beat, self.config.worker.progress_s)
        beat.start()
        self.closing.callback(beat.stop)
        log.info("working", group=kafka.group, topics=topics, worker=self.services.name)
        drained = loop.run(Drain(self.services.admin, kafka.group, ends).is_reached if drain else None)
        log.info("stopped", worker=self.services.name)
        return DONE if drained else _stopped(drain=drain)

    def _runner(self, lane: Lane) -> LaneRunner:
        thread = LaneThread()
        self.closing.callback(thread.end)
        sources = {self.config.mappings[name].source.topic for name in lane.world.apps}
        return LaneRunner(lane, self._preparation(lane), frozenset(sources), thread)

    def _preparation(self, lane: Lane) -> Callable[[Sequence[Message]], Batch]:
        """Return what decodes polled messages for a lane; it has decoders of its own, as it runs beside the lane's thread."""
        translator = open_translator(self.config, self.closing)
        originals = Originals(self.services.admin, lambda: consumer(self.config.kafka, None))
        self.closing.callback(originals.close)
        replay_topic, codec = self.config.kafka.replay_topic, self.services.codec

        def prepare(messages: Sequence[Message]) -> Batch:
            topics = by_topic(messages)
            asked = requests_in(topics.pop(replay_topic, ()), codec.decode, self.config.worker.batch)
            if asked.strange:
                self.services.log.warning("messages that are no replay request", count=asked.strange)
            parts: list[Part] = []
            plans = [lane.plans[name] for name in lane.world.apps]
            for plan in plans:
                mine = [each for each in asked.requests if each.mapping == plan.name]
                if mine:
                    parts.append(translator.replays(plan, mine, originals.find))
            sources = [plan for plan in plans if plan.topic in topics]
            parts += [translator.part(plan, topics[plan.topic]) for plan in sources]
            left = set(map(id, asked.left))
            taken = [each for each in messages if id(each) not in left] if left else messages
            return Batch(taken, parts, next_offsets(taken), asked.left)

        return prepare

    def _beat(self) -> None:
        """Tell what each mapping has done so far, even if that is nothing."""
        now = datetime.now(UTC)
        for lane in self.lanes:
            paused = lane.paused
            events = [
                SyncProgress(
                    worker=self.services.name,
                    group=self.config.kafka.group,
                    mapping=name,
                    direction=self.config.mappings[name].direction,
                    at=now,
                    started_at=self.tally.started_at,
                    counts=self.tally.of(name),
                    lag_records=self.services.metrics.lag_of(self.config.mappings[name].source.topic),
                    paused_code=paused.code if paused is not None else None,
                )
                for name in lane.world.apps
            ]
            self.services.errors.tell(events, self.services.log)
