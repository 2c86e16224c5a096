"""The sink process: opens everything, runs the loops, closes everything in reverse."""

import gc
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import structlog
from kafka import KafkaConsumer, KafkaProducer

from plumbing import kafka
from plumbing.codec import open_codec
from plumbing.database import unreachable_reason
from plumbing.fetch_fast import read_faster
from plumbing.unreachable import UnreachableError
from schemas.codec import Codec
from schemas.config.model import Config
from sink import chores, health, ingest, sending
from sink.actions import now_us
from sink.bookkeeper import Bookkeeper
from sink.chores import Chore
from sink.foreign import loop as foreign
from sink.foreign.letter import letter_readers
from sink.janitor import Janitor
from sink.job_runner import JobRunner
from sink.metrics import SinkMetrics
from sink.reimport import reimport
from sink.retry import Replays
from sink.sending import Sending
from sink.sent import SentReader
from sink.store.migrate import upgrade
from sink.store.statistics import read_statistics
from sink.store.store import Store, StoreAway, open_store
from sink.web.access.listening import listening_fault
from sink.web.access.tls import TlsError, server_context
from sink.web.app import create_app
from sink.web.recent import Recent
from sink.web.serving import Serving, bind
from sink.web.web import Web

DONE, FAILED, WRONG_USE = 0, 1, 2

_REPLAYS_EVERY_S = 1.0
_JOBS_EVERY_S = 0.2
_RECOVER_EVERY_S = 5.0
_NUMBERS_EVERY_S = 5.0
_BOOKS_EVERY_S = 1.0
_JANITOR_EVERY_S = 60.0
_SWEEP_EVERY_S = 3600.0
_CHORES, _JOBS, _JANITOR = "chores", "jobs", "janitor"
_LIMITS_S = {
    ingest.LOOP: 120.0,
    foreign.READING: 120.0,
    foreign.SENDING: 300.0,
    _CHORES: 300.0,
    _JOBS: 120.0,
    _JANITOR: 3600.0,
}
# how long the partitions of a sink that was killed wait for another one
_SESSION_MS = 10_000
_METADATA_MS = 10_000
# A batch is many values that live for a moment and form no cycles: looking for cycles within it takes a third of the time.
# What answers leave behind is looked for where they are served, and what is loaded not at all.
_COLLECT_AFTER = 200_000
# the writer waits for the database many times a batch, and would else wait 5 ms more each time until decoding lets it go on
_SWITCH_INTERVAL_S = 0.001
# what a fetch may bring bounds the memory
_FETCH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class _Opened:
    """The services that the sink works with."""

    store: Store
    codec: Codec
    consumer: KafkaConsumer
    producer: KafkaProducer


class StoreUnreachable(UnreachableError):  # noqa: N818  named for what is the case
    """The sink's database does not answer or lets us not in."""


def run(config: Config, stop: threading.Event) -> int:
    """Run the sink until `stop`; returns an exit code. Services that are not there yet are waited for."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER)
    with ExitStack() as stack:
        pulse = health.Pulse(_LIMITS_S)
        others = [topic.mapping for topic in config.sink.foreign]
        metrics = SinkMetrics(config.mappings, pulse, config.sink.store.limit_gib * (1 << 30), others)
        if not _serve(config, pulse, metrics, stack):
            return WRONG_USE
        store = _open_store(config, pulse, stop, stack)
        if store is None:
            return DONE
        if not kafka.until_reachable(partial(_may_listen, config, store), stop):
            return DONE if stop.is_set() else WRONG_USE
        opened = _open(config, store, pulse, stop, stack)
        if opened is None:
            return DONE
        return _work(config, opened, pulse, metrics, stop, stack)


def _open_store(config: Config, pulse: health.Pulse, stop: threading.Event, stack: ExitStack) -> Store | None:
    """Open the store as soon as it is there; None when `stop` came first."""
    pulse.hindered("store", "not reached yet")
    store = open_store(config.sink.store.url)
    stack.callback(store.close)
    if kafka.until_reachable(partial(_migrate, store), stop) is None:
        return None
    pulse.hindered("store", None)
    return store


def _may_listen(config: Config, store: Store) -> bool:
    try:
        fault = listening_fault(config.sink, store)
    except StoreAway as error:
        raise StoreUnreachable(
            f"the sink's database cannot be reached: {unreachable_reason(error)}"
        ) from None
    if fault is not None:
        structlog.get_logger().error(fault)
    return fault is None


def _open(
    config: Config, store: Store, pulse: health.Pulse, stop: threading.Event, stack: ExitStack
) -> _Opened | None:
    """Open the other services one after the other, as soon as each is there; None when `stop` came first."""
    pulse.hindered("kafka", "not reached yet")
    codec = kafka.until_reachable(partial(open_codec, config.kafka, stack), stop)
    if codec is None:
        return None
    consumer = kafka.until_reachable(partial(_open_consumer, config, config.sink.group), stop)
    if consumer is None:
        return None
    stack.callback(kafka.close_consumer, consumer, 3.0)
    producer = kafka.until_reachable(partial(_open_producer, config), stop)
    if producer is None:
        return None
    stack.callback(kafka.close_producer, producer, 2.0)
    return _Opened(store, codec, consumer, producer)


def _work(
    config: Config,
    opened: _Opened,
    pulse: health.Pulse,
    metrics: SinkMetrics,
    stop: threading.Event,
    stack: ExitStack,
) -> int:
    failed = threading.Event()
    find_sent = SentReader(config.kafka, opened.codec).find
    outbox = Sending(opened.store, opened.producer, opened.codec, find_sent, now_us)
    stack.callback(outbox.close)
    work: dict[str, Callable[[], None]] = {
        name: partial(chores.run_chores, name, some, pulse, stop)
        for name, some in _chores(config, opened, outbox, metrics, pulse, stop).items()
    }
    if config.sink.foreign:
        work |= _foreign(config, opened.store, metrics, pulse, stop, stack)
    for name, run_it in work.items():
        thread = threading.Thread(target=_guarded, args=(run_it, stop, failed), name=name, daemon=True)
        thread.start()
        stack.callback(thread.join, 3.0)
    stack.callback(stop.set)
    loop = ingest.Ingest(
        opened.store,
        opened.consumer,
        opened.codec,
        ingest.Hears((config.kafka.errors_topic,)),
        metrics=metrics,
        pulse=pulse,
        clock_us=now_us,
    )
    loop.run(stop)
    structlog.get_logger().info("sink ends")
    return FAILED if failed.is_set() else DONE


def _serve(config: Config, pulse: health.Pulse, metrics: SinkMetrics, stack: ExitStack) -> bool:
    log = structlog.get_logger()
    address = config.sink.listen
    try:
        tls = None if config.sink.tls is None else server_context(config.sink.tls)
    except TlsError as error:
        log.error(str(error))  # noqa: TRY400  the reason is told in words
        return False
    try:
        listener = bind(address.host, address.port)
    except OSError as error:
        log.error(  # noqa: TRY400  the reason is told in words
            "cannot listen; change sink.listen or stop what uses the port",
            address=str(address),
            reason=error.strerror,
        )
        return False
    # a store of its own: no page waits for a connection that ingest holds
    store = open_store(config.sink.store.url)
    stack.callback(store.close)
    serving = Serving(
        create_app(Web(config, store, pulse, metrics.registry, now_us, Recent(store, now_us))), listener, tls
    )
    serving.start()
    stack.callback(serving.close)
    log.info("serving page, API, metrics and health", host=address.host, port=listener.getsockname()[1])
    return True


def _migrate(store: Store) -> Store:
    try:
        before, after = upgrade(store.engine)
    except StoreAway as error:
        raise StoreUnreachable(
            f"the sink's database cannot be reached: {unreachable_reason(error)}"
        ) from None
    if before != after:
        structlog.get_logger().info("store upgraded", version=after)
    return store


def _open_consumer(config: Config, group: str) -> KafkaConsumer:
    consumer = kafka.consumer(
        config.kafka,
        group,
        # how soon a topic is found that is created after the start
        metadata_max_age_ms=_METADATA_MS,
        session_timeout_ms=_SESSION_MS,
        heartbeat_interval_ms=_SESSION_MS // 3,
        fetch_max_bytes=_FETCH_BYTES,
        max_partition_fetch_bytes=_FETCH_BYTES,
    )
    read_faster(consumer)
    return consumer


def _open_producer(config: Config) -> KafkaProducer:
    # whoever takes a claim for abandoned relies on these times
    return kafka.producer(
        config.kafka,
        delivery_timeout_ms=sending.DELIVERED_WITHIN_MS,
        request_timeout_ms=sending.ANSWERED_WITHIN_MS,
    )


def _chores(
    config: Config,
    opened: _Opened,
    outbox: Sending,
    metrics: SinkMetrics,
    pulse: health.Pulse,
    stop: threading.Event,
) -> dict[str, list[Chore]]:
    store, codec = opened.store, opened.codec
    runner = JobRunner(store, outbox, uuid.uuid4().hex, now_us)

    def count() -> None:
        with store.reading() as connection:
            metrics.refreshed(read_statistics(connection, now_us()))

    def import_again() -> None:
        letters = letter_readers(config.sink.foreign)
        done = reimport(store, codec, letters, now_us(), newer_only=True)
        if done.imported:
            structlog.get_logger().info("quarantined messages imported", number=done.imported)

    # the janitor may be long at work, and replays must not wait for it
    return {
        _CHORES: [
            # once a run: only a newer program can read what an older one could not
            Chore("reimport", float("inf"), import_again),
            Chore("recovering", _RECOVER_EVERY_S, outbox.recover),
            _replay_chore(config, store, metrics),
            *_book_chores(store),
            Chore("numbers", _NUMBERS_EVERY_S, count),
        ],
        # a job goes as fast as it was told to
        _JOBS: [Chore("replay jobs", _JOBS_EVERY_S, runner.run, rest=0)],
        _JANITOR: _janitor_chores(config, store, metrics, pulse, stop),
    }


def _janitor_chores(
    config: Config, store: Store, metrics: SinkMetrics, pulse: health.Pulse, stop: threading.Event
) -> list[Chore]:
    janitor = Janitor(store, config.sink.retention, now_us, stop, partial(pulse.beat, _JANITOR))

    def clean(removed: Callable[[], Counter[str]]) -> None:
        for what, number in removed().items():
            metrics.purged(what, number)

    return [
        Chore("ageing out", _JANITOR_EVERY_S, partial(clean, janitor.run)),
        Chore("sweeping", _SWEEP_EVERY_S, partial(clean, janitor.sweep)),
    ]


def _replay_chore(config: Config, store: Store, metrics: SinkMetrics) -> Chore:
    replays = Replays(store, config.sink.replay_timeout_s, now_us)

    def replay() -> None:
        metrics.unconfirmed(replays.run()["unconfirmed"])

    return Chore("replays", _REPLAYS_EVERY_S, replay)


def _book_chores(store: Store) -> list[Chore]:
    books = Bookkeeper(store, now_us)
    return [
        Chore("adding up", _BOOKS_EVERY_S, books.add_up),
        Chore("groups", _NUMBERS_EVERY_S, books.settle),
        Chore("regrouping", _BOOKS_EVERY_S, books.regroup),
    ]


def _foreign(
    config: Config,
    store: Store,
    metrics: SinkMetrics,
    pulse: health.Pulse,
    stop: threading.Event,
    stack: ExitStack,
) -> dict[str, Callable[[], None]]:
    """The work for dead letter topics of other programs, by the names of its threads."""
    letters, close = foreign.sending(config, store)
    stack.callback(close)
    open_consumer = partial(_open_consumer, config)
    return {
        foreign.READING: partial(
            foreign.read, config, store, open_consumer, metrics.of_letters(), pulse, stop
        ),
        foreign.SENDING: partial(chores.run_chores, foreign.SENDING, letters, pulse, stop),
    }


def _guarded(work: Callable[[], None], stop: threading.Event, failed: threading.Event) -> None:
    try:
        work()
    finally:
        if not stop.is_set():
            # a thread that dies would leave the rest running as if nothing were amiss
            failed.set()
            stop.set()
