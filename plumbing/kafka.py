"""How both processes open Kafka: the configuration's security and options, and settings that lose nothing."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import structlog
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.net.compat import KafkaNetClient

from plumbing.client_stalls import collect_joins, let_go_of_timeouts, take_up_resumed
from plumbing.fetch_fast import read_faster
from plumbing.kafka_probe import probe, tls_context
from plumbing.partitioner import KeyPartitioner
from plumbing.unreachable import UnreachableError
from schemas.config.kafka import KafkaConfig, SecurityConfig

BOOTSTRAP_TIMEOUT_MS = 3000
_RETRY_S = 1.0

Client = TypeVar("Client")


class KafkaUnreachable(UnreachableError):  # noqa: N818  named for what is the case
    """No broker answers, or none lets us in."""


def consumer(config: KafkaConfig, group: str | None, **options: Any) -> KafkaConsumer:
    """Return a consumer without deserializers that commits only when told; raises KafkaUnreachable.

    `options` are kafka-python's, over our settings and under those of the configuration.
    """
    ours = {
        "group_id": group,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "allow_auto_create_topics": False,
        "max_partition_fetch_bytes": 1 << 20,
    }
    opened = _open(KafkaConsumer, config, ours | options)
    read_faster(opened)
    collect_joins(opened)
    take_up_resumed(opened)
    let_go_of_timeouts(opened)
    return opened


def producer(config: KafkaConfig, **options: Any) -> KafkaProducer:
    """Return a producer that loses nothing and keeps the order; raises KafkaUnreachable.

    It may double a message whose acknowledgement was lost, which every reader of ours takes for one. An idempotent
    producer would not, but stays broken for good after a refused or expired batch. Large batches, as but one is under
    way at a time. `options` as in `consumer`; `max_request_size` bounds what one message may have.
    """
    ours = {
        "acks": "all",
        "enable_idempotence": False,
        "max_in_flight_requests_per_connection": 1,
        "linger_ms": 20,
        "batch_size": 512 << 10,
        "compression_type": "lz4",
        "max_block_ms": 10_000,
        "partitioner": KeyPartitioner(),
        "allow_auto_create_topics": False,
    }
    return _open(KafkaProducer, config, ours | options)


def admin(config: KafkaConfig, **options: Any) -> KafkaAdminClient:
    """Return an admin client; raises KafkaUnreachable."""
    return _open(KafkaAdminClient, config, options)


def topic_id(client: KafkaConsumer, topic: str) -> str | None:
    """Return the broker's id of a topic as far as the client knows it: one created again has another."""
    cluster: Any = getattr(client, "_cluster", None)
    known = cluster.topic_id(topic) if hasattr(cluster, "topic_id") else None
    return None if known is None else str(known)


def until_reachable(open_client: Callable[[], Client], stop: threading.Event) -> Client | None:
    """Return what `open_client` opens as soon as the service is there; None when `stop` is set before.

    Tries again after UnreachableError, and logs the reason when it is a new one.
    """
    log = structlog.get_logger()
    told = None
    while not stop.is_set():
        try:
            return open_client()
        except UnreachableError as error:
            if str(error) != told:
                told = str(error)
                log.warning("waiting for a service", reason=told)
        stop.wait(_RETRY_S)
    return None


def close_producer(client: KafkaProducer, timeout_s: float = 5.0) -> bool:
    """Send what waits and close; False when the time was too short and something was given up."""
    try:
        client.flush(timeout_s)
        client.close(timeout=timeout_s)
    except KafkaTimeoutError:
        # The client stays open when it cannot finish in time, and has no public way to end it.
        client._sender.force_close()  # noqa: SLF001  see above
        client._closed = True  # noqa: SLF001  see above
        return False
    return True


def close_consumer(client: KafkaConsumer, timeout_s: float = 5.0) -> None:
    """Leave the group and close, whatever state the brokers are in."""
    client.close(autocommit=False, timeout_ms=int(timeout_s * 1000))


def security_options(security: SecurityConfig) -> dict[str, Any]:
    """Return kafka-python's options for what the configuration says of encryption and login; raises UnreachableError."""
    options: dict[str, Any] = {"security_protocol": security.protocol}
    if security.encrypted:
        options["ssl_context"] = tls_context(security)
    if security.mechanism is not None and security.password is not None:
        options |= {
            "sasl_mechanism": security.mechanism,
            "sasl_plain_username": security.username,
            "sasl_plain_password": security.password.get_secret_value(),
        }
    return options


def _open(kind: Callable[..., Client], config: KafkaConfig, ours: dict[str, Any]) -> Client:
    known: dict[str, Any] = kind.DEFAULT_CONFIG  # type: ignore[attr-defined]  # each client class has it
    settings = {
        "bootstrap_servers": list(config.bootstrap),
        "bootstrap_timeout_ms": BOOTSTRAP_TIMEOUT_MS,
        **ours,
        **{name: value for name, value in config.client.items() if name in known},
    }
    made: list[KafkaNetClient] = []

    def remembered(**options: Any) -> KafkaNetClient:
        made.append(KafkaNetClient(**options))
        return made[-1]

    servers = ", ".join(config.bootstrap)
    try:
        return kind(kafka_client=remembered, **(settings | security_options(config.security)))
    except (KafkaError, UnreachableError) as error:
        for connections in made:
            _end(connections)
        reason = probe(config) if isinstance(error, KafkaTimeoutError) else str(error)
        raise KafkaUnreachable(f"Kafka at {servers} cannot be reached: {reason}") from None


def _end(connections: KafkaNetClient) -> None:
    # A client that fails to start leaves its thread and sockets open, which adds up while we wait for a broker.
    connections.close()
    connections._net.stop()  # noqa: SLF001  as the clients' own close() does
