"""Which of kafka-python's options a configuration may set under `kafka.client`."""

from collections.abc import Iterator, Mapping
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

from schemas.config.problem import Path, did_you_mean

# What decides about losing, doubling or reordering, what has a place of its own in the configuration, and what YAML
# cannot say (callables).
_OURS = frozenset(
    {
        *(
            "acks",
            "allow_auto_create_topics",
            "auto_commit_interval_ms",
            "auto_offset_reset",
            "bootstrap_servers",
        ),
        *("bootstrap_timeout_ms", "check_crcs", "consumer_timeout_ms", "default_offset_commit_callback"),
        *("enable_auto_commit", "enable_idempotence", "group_id", "group_instance_id", "isolation_level"),
        *("kafka_client", "key_deserializer", "key_serializer", "max_in_flight_requests_per_connection"),
        *("metric_reporters", "partition_assignment_strategy", "partitioner", "retries", "sasl_mechanism"),
        *("sasl_oauth_token_provider", "sasl_plain_password", "sasl_plain_username", "security_protocol"),
        *("selector", "socket_options", "ssl_cafile", "ssl_certfile", "ssl_check_hostname", "ssl_context"),
        *("ssl_keyfile", "ssl_password", "transactional_id", "value_deserializer", "value_serializer"),
    }
)


def client_option_problems(client: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Yield the path and the words for every option that cannot be set, or not to that kind of value."""
    defaults = _defaults()
    allowed = sorted(defaults.keys() - _OURS)
    for name, value in client.items():
        path: Path = ("kafka", "client", name)
        if name in _OURS:
            yield path, "is set by Instep, or has a place of its own in the configuration (kafka.security)"
        elif name not in defaults:
            yield path, f"is no option of Kafka's client.{did_you_mean(name, allowed)}"
        elif not _fits(value, defaults[name]):
            yield path, f"must be {_described(defaults[name])}"


def _defaults() -> dict[str, Any]:
    clients = (KafkaAdminClient, KafkaProducer, KafkaConsumer)
    return {name: value for client in clients for name, value in client.DEFAULT_CONFIG.items()}


def _fits(value: Any, default: Any) -> bool:
    match default:
        case bool():
            return isinstance(value, bool)
        case int() | float():
            return isinstance(value, int | float) and not isinstance(value, bool)
        case str():
            return isinstance(value, str)
        case _:
            return isinstance(value, str | int | float)


def _described(default: Any) -> str:
    match default:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case _:
            return "a text"
