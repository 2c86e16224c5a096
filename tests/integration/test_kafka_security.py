"""TLS and SASL SCRAM: everything that opens Kafka gets in with the right settings, and is told what is wrong with others."""

import gc
import sqlite3
import threading
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from pydantic import SecretStr

from plumbing.kafka import (
    KafkaUnreachable,
    admin,
    close_consumer,
    close_producer,
    consumer,
    producer,
    until_reachable,
)
from schemas.config.kafka import KafkaConfig, SecurityConfig
from tests.command import run_instep
from tests.conftest import CreateTopic
from tests.services.kafka import Kafka

# A client that is not let in leaves closing its sockets to the garbage collector, which says so.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(autouse=True)
def _collected_here() -> Iterator[None]:
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def secure(kafka: Kafka, **changes: Any) -> KafkaConfig:
    security = {
        "protocol": "SASL_SSL",
        "mechanism": "SCRAM-SHA-512",
        "username": kafka.user,
        "password": SecretStr(kafka.password),
        "ca_file": kafka.ca_file,
    }
    return KafkaConfig(
        bootstrap=(kafka.secure_bootstrap,),
        group=f"g-{uuid4().hex}",
        security=SecurityConfig.model_validate(security | changes),
    )


def test_what_is_sent_over_tls_is_read_over_tls(kafka: Kafka, topic: CreateTopic) -> None:
    name, config = topic("secure"), secure(kafka)
    sending = producer(config)
    sending.send(name, b"value", key=b"key").get(10)

    reading = consumer(config, config.group)
    reading.subscribe([name])
    records = [record for _ in range(100) for batch in reading.poll(200).values() for record in batch][:1]

    assert [(record.key, record.value) for record in records] == [(b"key", b"value")]
    assert close_producer(sending)
    close_consumer(reading)


def test_the_admin_gets_in(kafka: Kafka, topic: CreateTopic) -> None:
    name = topic("secure")

    with closing(admin(secure(kafka))) as opened:
        assert name in opened.list_topics()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"password": SecretStr("hunter2")}, "does not let us in. Check kafka.security"),
        ({"username": "nobody"}, "does not let us in"),
        ({"mechanism": "PLAIN"}, "does not let us in"),
        ({"ca_file": None}, "certificate is not trusted"),
        ({"ca_file": "/nowhere/ca.pem"}, "No such file or directory"),
        ({"ca_file": __file__}, "cannot be used"),
        (
            {"protocol": "SSL", "mechanism": None, "username": None, "password": None},
            "Check kafka.security.protocol",
        ),
        ({"protocol": "SASL_PLAINTEXT", "ca_file": None}, "does not let us in|Check kafka.security.protocol"),
    ],
)
def test_a_wrong_setting_is_told(kafka: Kafka, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(KafkaUnreachable, match=words) as error:
        admin(secure(kafka, **changes))

    assert "hunter2" not in str(error.value)


def test_a_name_that_the_certificate_has_not(kafka: Kafka) -> None:
    port = kafka.secure_bootstrap.rpartition(":")[2]
    config = secure(kafka).model_copy(update={"bootstrap": (f"localhost.localdomain:{port}",)})

    with pytest.raises(KafkaUnreachable, match=r"certificate is not trusted|is not known"):
        admin(config)


def test_failing_to_get_in_leaves_nothing_open(kafka: Kafka) -> None:
    config = secure(kafka, password=SecretStr("wrong"))
    before = set(threading.enumerate())

    for open_client in (admin, producer, lambda config: consumer(config, "g")):
        with pytest.raises(KafkaUnreachable):
            open_client(config)

    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


def test_waiting_for_a_broker_ends_when_told_to_stop() -> None:
    config = KafkaConfig(bootstrap=("127.0.0.1:1",), group="g")
    stop = threading.Event()
    tried = threading.Event()

    def open_admin() -> object:
        tried.set()
        return admin(config)

    answers: list[object] = []
    waiting = threading.Thread(target=lambda: answers.append(until_reachable(open_admin, stop)))
    waiting.start()
    assert tried.wait(10)
    stop.set()
    waiting.join(10)

    assert answers == [None]


CHANGE = (
    b'{"schema": null, "payload": {"before": null, "after": {"number": 1, "name": "Ada"}, "op": "c",'
    b' "ts_ms": 1, "source": {"ts_ms": 1}}}'
)


def test_a_worker_applies_changes_over_tls(kafka: Kafka, topic: CreateTopic, tmp_path: Path) -> None:
    """The whole path of a change through the real command line, with the password in a file."""
    name, config = topic("secure"), secure(kafka)
    (tmp_path / "password").write_text(f"{kafka.password}\n")
    (tmp_path / "instep.yaml").write_text(yaml.safe_dump(written(kafka, name, config.group, tmp_path)))
    with closing(sqlite3.connect(tmp_path / "crm.db")) as database:
        database.execute("create table account (number integer primary key, name text)")
    sending = producer(config)
    sending.send(name, CHANGE, key=b'{"number": 1}').get(10)
    close_producer(sending)

    instep(tmp_path, "topics", "create", "--partitions", "1")
    instep(tmp_path, "worker", "--drain")

    with closing(sqlite3.connect(tmp_path / "crm.db")) as database:
        assert database.execute("select * from account").fetchall() == [(1, "Ada")]


def written(kafka: Kafka, topic: str, group: str, folder: Path) -> dict[str, Any]:
    security = {
        "protocol": "SASL_SSL",
        "mechanism": "SCRAM-SHA-512",
        "username": kafka.user,
        "password": f"${{file:{folder}/password}}",
        "ca_file": kafka.ca_file,
    }
    return {
        "kafka": {
            "bootstrap": kafka.secure_bootstrap,
            "group": group,
            "errors_topic": f"{group}.errors",
            "security": security,
        },
        "apps": {"erp": {}, "crm": {"connector": "sql", "url": f"sqlite:///{folder}/crm.db"}},
        "mappings": {
            "customers": {
                "source": {"app": "erp", "entity": "customer", "topic": topic, "key": "number"},
                "target": {"app": "crm", "entity": "account", "key": "number"},
                "on_delete": "propagate",
            }
        },
        "worker": {"state": {"url": f"sqlite:///{folder}/state.db"}, "metrics": None},
    }


def instep(folder: Path, *arguments: str) -> None:
    answer = run_instep(*arguments, folder=folder)
    assert answer.returncode == 0, answer.stderr
