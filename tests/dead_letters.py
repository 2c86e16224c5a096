"""Messages of dead letter topics, with the headers that each program writes."""

from dataclasses import dataclass, field
from struct import pack

Header = tuple[str, bytes | None]

OWN: tuple[Header, ...] = (("trace", b"00-abc"), ("__TypeId__", b"shop.Order"))
STACKTRACE = (
    b"org.apache.kafka.connect.errors.DataException: bad value Alice\n"
    b"\tat io.confluent.connect.avro.AvroConverter.toConnectData(AvroConverter.java:148)\n"
    b"\tat org.apache.kafka.connect.runtime.WorkerSinkTask.convert(WorkerSinkTask.java:525)\n"
    b"Caused by: org.apache.kafka.common.errors.SerializationException: Unknown magic byte in Alice\n"
)


@dataclass(frozen=True, slots=True)
class Message:
    """A message as kafka-python hands it over, as far as the sink looks."""

    offset: int = 7
    key: bytes | None = b"4711"
    value: bytes | None = b'{"name": "Alice Smith", "city": "Bergen"}'
    headers: tuple[Header, ...] = field(default=OWN)
    timestamp: int = 1_700_000_000_000
    topic: str = "orders.dlq"
    partition: int = 1


def connect(
    *,
    topic: bytes = b"orders",
    stage: bytes = b"TASK_PUT",
    exception: bytes = b"org.postgresql.util.PSQLException",
) -> tuple[Header, ...]:
    """What Kafka Connect adds with errors.deadletterqueue.context.headers.enable."""
    return (
        ("__connect.errors.topic", topic),
        ("__connect.errors.partition", b"2"),
        ("__connect.errors.offset", b"42"),
        ("__connect.errors.connector.name", b"jdbc-orders"),
        ("__connect.errors.task.id", b"0"),
        ("__connect.errors.stage", stage),
        ("__connect.errors.class.name", b"org.apache.kafka.connect.sink.SinkTask"),
        ("__connect.errors.exception.class.name", exception),
        ("__connect.errors.exception.message", b"record of Alice cannot be written"),
        ("__connect.errors.exception.stacktrace", STACKTRACE),
    )


def spring(
    *, topic: bytes = b"orders", cause: bytes = b"java.lang.IllegalStateException"
) -> tuple[Header, ...]:
    """What Spring Kafka's DeadLetterPublishingRecoverer adds."""
    return (
        ("kafka_dlt-exception-fqcn", b"org.springframework.kafka.listener.ListenerExecutionFailedException"),
        ("kafka_dlt-exception-cause-fqcn", cause),
        ("kafka_dlt-exception-message", b"Listener failed; nested exception for Alice"),
        ("kafka_dlt-exception-stacktrace", STACKTRACE),
        ("kafka_dlt-original-topic", topic),
        ("kafka_dlt-original-partition", pack(">i", 2)),
        ("kafka_dlt-original-offset", pack(">q", 42)),
        ("kafka_dlt-original-timestamp", pack(">q", 1_699_999_000_000)),
        ("kafka_dlt-original-timestamp-type", b"CreateTime"),
        ("kafka_dlt-original-consumer-group", b"billing"),
    )


def spring_retry_topic() -> tuple[Header, ...]:
    """What Spring Kafka adds where @RetryableTopic gives up after three attempts."""
    return (
        ("kafka_original-topic", b"orders"),
        ("kafka_original-partition", pack(">i", 2)),
        ("kafka_original-offset", pack(">q", 42)),
        ("kafka_original-timestamp", pack(">q", 1_699_999_000_000)),
        ("kafka_original-timestamp-type", b"CreateTime"),
        ("kafka_dlt-original-consumer-group", b"billing"),
        ("kafka_exception-fqcn", b"org.springframework.kafka.listener.TimestampedException"),
        ("kafka_exception-cause-fqcn", b"java.net.SocketTimeoutException"),
        ("kafka_exception-message", b"timed out"),
        ("kafka_exception-stacktrace", STACKTRACE),
        ("retry_topic-original-timestamp", (1_699_999_000_000).to_bytes(6, "big")),
        ("retry_topic-attempts", pack(">i", 4)),
        ("retry_topic-backoff-timestamp", (1_700_000_000_000).to_bytes(6, "big")),
    )


def karafka(family: str = "source") -> tuple[Header, ...]:
    """What Karafka Pro adds: since 2.5 as `source_…`, before as `original_…` with the key, whose place the partition takes."""
    added: list[Header] = [
        (f"{family}_topic", b"orders"),
        (f"{family}_partition", b"2"),
        (f"{family}_offset", b"42"),
        (f"{family}_consumer_group", b"billing"),
        (f"{family}_attempts", b"3"),
    ]
    added.append(("source_trace_id", b"9f1c") if family == "source" else ("original_key", b"4711"))
    return tuple(added)
