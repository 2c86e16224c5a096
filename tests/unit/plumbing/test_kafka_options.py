from typing import Any

import pytest

from plumbing.kafka import security_options
from plumbing.kafka_options import client_option_problems
from schemas.config.kafka import SecurityConfig


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("client_rak", "a", 'Did you mean "client_rack"?'),
        ("group_id", "a", "is set by Instep"),
        ("enable_idempotence", False, "is set by Instep"),
        ("sasl_plain_password", "a", "kafka.security"),
        ("fetch_max_bytes", "many", "must be a number"),
        ("fetch_max_bytes", True, "must be a number"),
        ("metrics_enabled", 1, "must be true or false"),
        ("client_id", 1, "must be a text"),
        ("client_rack", ["a"], "must be a text"),
    ],
)
def test_an_option_that_cannot_be_set(option: str, value: Any, words: str) -> None:
    ((path, what),) = client_option_problems({option: value})

    assert path == ("kafka", "client", option)
    assert words in what


def test_options_of_any_of_the_clients_can_be_set() -> None:
    client = {
        "client_rack": "a",
        "linger_ms": 5,
        "fetch_max_bytes": 1000,
        "request_timeout_ms": 1000.5,
        "compression_type": "zstd",
    }

    assert list(client_option_problems(client)) == []


def test_security_becomes_the_clients_options() -> None:
    security = SecurityConfig.model_validate(
        {"protocol": "SASL_PLAINTEXT", "mechanism": "SCRAM-SHA-256", "username": "u", "password": "p"}
    )

    assert security_options(security) == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": "u",
        "sasl_plain_password": "p",
    }


def test_tls_checks_the_broker_unless_told_otherwise() -> None:
    checked = security_options(SecurityConfig(protocol="SSL"))["ssl_context"]
    unchecked = security_options(SecurityConfig(protocol="SSL", check_hostname=False))["ssl_context"]

    assert (checked.check_hostname, unchecked.check_hostname) == (True, False)
