"""What a worker opens before it polls: state, connectors, and its mappings against what the targets say of themselves."""

import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points, version

import structlog
from kafka import KafkaAdminClient, KafkaConsumer
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.errors import KafkaError
from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, start_http_server
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from structlog.typing import FilteringBoundLogger

from plumbing.codec import open_codec
from plumbing.database import open_engine, unreachable_reason
from plumbing.kafka import admin, close_producer, consumer, producer, until_reachable
from plumbing.registry import Registry
from plumbing.unreachable import UnreachableError
from schemas.codec import Codec
from schemas.config.app import AppConfig
from schemas.config.mapping import MappingConfig
from schemas.config.model import Config
from schemas.decoder import Decoder
from worker.batch import Translator
from worker.connectors.protocol import Connector, Description, Refused
from worker.errors_topic import ErrorsTopic, limit_of, wait_for_topic
from worker.fault import Fault
from worker.lane import ERRORS_TOPIC, REGISTRY, SCHEMA_CODES, STATE, Lane
from worker.mappings import compile_mapping, find_problems
from worker.metrics import WorkerMetrics
from worker.report import message_of
from worker.state.migrate import upgrade

# what a fetch may bring bounds the memory: a response is held several times over while it is read
FETCH_BYTES = 8 << 20
# the client's own, where the configuration names none
SESSION_TIMEOUT_MS = 45_000
# what a worker that ends gives progress reports that are still under way
SEND_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Services:
    """What is open once nothing stands in the way of working; `name` is the worker's own."""

    name: str
    connectors: Mapping[str, Connector]
    engine: Engine
    admin: KafkaAdminClient
    errors: ErrorsTopic
    codec: Codec
    metrics: WorkerMetrics
    log: FilteringBoundLogger


@dataclass(frozen=True, slots=True)
class WrongConfiguration:
    """What the configuration asks for and cannot have; `path` says where in the file."""

    path: str
    what: str


def open_state(config: Config) -> Engine:
    """Return the state store's engine, its tables brought up to date; raises UnreachableError."""
    engine = open_engine(config.worker.state.url, name="instep-worker")
    try:
        upgrade(engine)
    except DBAPIError as error:
        engine.dispose()
        raise UnreachableError(f"The state store cannot be reached: {unreachable_reason(error)}") from None
    return engine


def open_connector(name: str, config: AppConfig) -> Connector | WrongConfiguration:
    """Return the connector of an app; nothing connects before its first use."""
    found = {each.name: each for each in entry_points(group="instep.connectors")}
    if config.connector not in found:
        known = ", ".join(sorted(found))
        return WrongConfiguration(
            f"apps.{name}.connector", f"there is no connector {config.connector}; known: {known}"
        )
    open_it: Callable[[str, Mapping[str, object]], Connector] = found[config.connector].load()
    url = config.url.get_secret_value() if config.url is not None else ""
    try:
        return open_it(url, config.options)
    except ValueError as error:
        return WrongConfiguration(f"apps.{name}.options", str(error))


def split_into_lanes(mappings: Mapping[str, MappingConfig]) -> list[list[str]]:
    """Return the names of the mappings by lane: those that share a target app or a topic work together."""
    lanes: list[tuple[set[str], list[str]]] = []
    for name, mapping in mappings.items():
        shared = {f"app {mapping.target.app}", f"topic {mapping.source.topic}"}
        mine = [lane for lane in lanes if lane[0] & shared]
        lanes = [lane for lane in lanes if not lane[0] & shared]
        lanes.append(
            (shared.union(*(lane[0] for lane in mine)), [each for lane in mine for each in lane[1]] + [name])
        )
    order = list(mappings)
    return [sorted(names, key=order.index) for _, names in lanes]


class WrongTargetsError(Exception):
    """An app that was away when the worker started turns out to lack what the configuration asks for."""

    def __init__(self, wrong: Sequence[WrongConfiguration]) -> None:
        super().__init__()
        self.wrong = list(wrong)


def wrong_targets(error: BaseException | None) -> list[WrongConfiguration]:
    """Return what targets lack, where that is what an error comes from: the client wraps what is raised while partitions move."""
    while error is not None:
        if isinstance(error, WrongTargetsError):
            return error.wrong
        error = error.__cause__
    return []


def compile_plans(lane: Lane, config: Config) -> list[WrongConfiguration]:
    """Give a lane the mappings whose app can be asked now; return what their targets do not have.

    An app is asked no more once it does not answer: each question may wait for seconds, and other lanes wait with it.
    """
    wrong: list[WrongConfiguration] = []
    away: set[str] = set()
    for name, app in lane.world.apps.items():
        if app in away:
            continue
        described = _describe(lane.connector_of(name), config.mappings[name])
        if isinstance(described, _Described):
            wrong += _compile(lane, name, config.mappings[name], described)
        else:
            away.add(app)
    return wrong


def compile_waiting(lane: Lane, config: Config) -> None:
    """Give a lane the mappings that it does not have yet, as soon as their app can be asked.

    Raises WrongTargetsError, and Abandoned when the lane is told to let go before.
    """
    for name in [each for each in lane.world.apps if each not in lane.plans]:
        mapping = config.mappings[name]
        described = lane.patiently(name, partial(_describe, lane.connector_of(name), mapping))
        wrong = _compile(lane, name, mapping, described)
        if wrong:
            raise WrongTargetsError(wrong)


def _compile(
    lane: Lane, name: str, mapping: MappingConfig, described: "_Described"
) -> list[WrongConfiguration]:
    if described.description is None:
        return [WrongConfiguration(f"mappings.{name}.target.entity", message_of(described.fault))]
    plan = compile_mapping(name, mapping, described.description)
    lane.plans[name] = plan
    return [WrongConfiguration(f"mappings.{name}", message_of(each)) for each in find_problems(plan)]


def open_services(
    config: Config, stop: threading.Event, closing: ExitStack
) -> "Services | list[WrongConfiguration]":
    """Open everything but lanes and consumer, waiting for what is away; an empty list when told to stop before."""
    name = config.worker.name or f"{socket.gethostname()}-{os.getpid()}"
    log = structlog.get_logger()
    connectors: dict[str, Connector] = {}
    for app in dict.fromkeys(mapping.target.app for mapping in config.mappings.values()):
        connector = open_connector(app, config.apps[app])
        if isinstance(connector, WrongConfiguration):
            return [connector]
        closing.callback(connector.close)
        connectors[app] = connector
    registry = CollectorRegistry()
    directions = {each: mapping.direction for each, mapping in config.mappings.items()}
    metrics = WorkerMetrics(registry, directions, [*connectors, STATE, ERRORS_TOPIC, REGISTRY])
    wrong = _serve_metrics(config, registry, closing)
    if wrong is not None:
        return [wrong]
    engine = until_reachable(lambda: open_state(config), stop)
    asking = until_reachable(lambda: admin(config.kafka), stop)
    sending = until_reachable(lambda: producer(config.kafka), stop)
    codec = until_reachable(lambda: open_codec(config.kafka, closing), stop)
    if engine is None or asking is None or sending is None or codec is None:
        return []
    closing.callback(engine.dispose)
    closing.callback(asking.close)
    closing.callback(close_producer, sending, SEND_TIMEOUT_S)
    if engine.dialect.name == "sqlite" and not is_alone(asking, config, stop, log):
        what = (
            "another worker of this group is running; several need a state store that they share: PostgreSQL"
        )
        return [WrongConfiguration("worker.state.url", what)]
    if not wait_for_topic(asking, config.kafka.errors_topic, stop, log):
        return []
    limit_bytes = limit_of(asking, config.kafka.errors_topic, sending.config["max_request_size"])
    errors = ErrorsTopic(sending, config.kafka.errors_topic, codec.encode, limit_bytes)
    return Services(name, connectors, engine, asking, errors, codec, metrics, log)


def open_consumer(config: Config) -> KafkaConsumer:
    """Return the consumer of the worker group; raises UnreachableError."""
    return consumer(
        config.kafka,
        config.kafka.group,
        max_poll_records=config.worker.batch,
        fetch_max_bytes=FETCH_BYTES,
        max_partition_fetch_bytes=FETCH_BYTES // 2,
        partition_assignment_strategy=[RoundRobinPartitionAssignor],
    )


def open_translator(config: Config, closing: ExitStack) -> Translator:
    """Return decoders for every mapping, with a registry connection of their own; for one thread."""
    find_schema: Callable[[int], str | None] = _no_schema
    if config.kafka.registry is not None:
        find_schema = closing.enter_context(Registry(config.kafka.registry)).find_schema
    formats = {mapping.format for mapping in config.mappings.values()}
    decoders = {each: Decoder(find_schema, format=each) for each in formats}
    by_mapping = {name: decoders[mapping.format] for name, mapping in config.mappings.items()}
    return Translator(by_mapping, {name: each.key_fields for name, each in by_mapping.items()})


def is_alone(
    admin: KafkaAdminClient, config: Config, stop: threading.Event, log: FilteringBoundLogger
) -> bool:
    """Whether no other worker is in the group; asks for as long as Kafka takes one that was killed for alive."""
    told = False
    for _ in range(config.kafka.client.get("session_timeout_ms", SESSION_TIMEOUT_MS) // 1000 + 3):
        if stop.is_set() or not has_members(admin, config.kafka.group):
            return True
        if not told:
            log.warning(
                "another worker is in the group; waiting, as it may have been killed",
                group=config.kafka.group,
            )
            told = True
        stop.wait(1)
    return False


def has_members(admin: KafkaAdminClient, group: str) -> bool:
    """Whether some other worker is in the group now."""
    try:
        described = admin.describe_groups([group])
    except (KafkaError, ValueError):
        # a group that never was has no coordinator; ValueError: brokers that answer with rights the client does not know
        return False
    return bool(described[group]["members"])


def _no_schema(_schema_id: int) -> str | None:
    return None


def _serve_metrics(
    config: Config, registry: CollectorRegistry, closing: ExitStack
) -> WrongConfiguration | None:
    Gauge("instep_build_info", "The version that runs", ["version"], registry=registry).labels(
        version("instep")
    ).set(1)
    ProcessCollector(registry=registry)
    address = config.worker.metrics
    if address is None:
        return None
    try:
        server, _ = start_http_server(address.port, address.host, registry)
    except OSError as error:
        what = f"cannot listen on {address} ({error.strerror}); each worker of a machine needs an address of its own, or null"
        return WrongConfiguration("worker.metrics", what)
    closing.callback(server.shutdown)
    return None


@dataclass(frozen=True, slots=True)
class _Described:
    """What a target says of an entity, or why it says nothing for good."""

    description: Description | None
    fault: Fault


def _describe(connector: Connector, config: MappingConfig) -> _Described | Refused:
    described = connector.describe(config.target.entity)
    if not isinstance(described, Refused):
        return _Described(described, Fault("bug"))
    return _Described(None, described.fault) if described.fault.code in SCHEMA_CODES else described
