"""Apache Kafka as one process (broker and controller), open and with TLS and SCRAM side by side."""

import base64
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from kafka import KafkaAdminClient, TopicPartition

from tests.services.certificates import write_certificates
from tests.services.jars import QUICK_START, fetch_dependencies, java
from tests.services.process import ServerProcess, accepts, free_port, make_folder

JARS = "kafka-4.3.1.pom.xml"


@dataclass(frozen=True, slots=True)
class Kafka:
    """How to reach a Kafka broker: `bootstrap` in the open, `secure_bootstrap` over TLS with SASL SCRAM-SHA-512."""

    bootstrap: str
    secure_bootstrap: str
    ca_file: str
    user: str = "instep"
    password: str = "instep-test"

    def create_topic(
        self, name: str, *, partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> None:
        """Creates a topic and waits until it can be used."""
        topic = {"num_partitions": partitions, "replication_factor": 1, "configs": dict(config or {})}
        with closing(KafkaAdminClient(bootstrap_servers=self.bootstrap)) as admin:
            admin.create_topics({name: topic}, wait_for_metadata=True)

    def delete_topic(self, name: str) -> None:
        """Deletes a topic."""
        with closing(KafkaAdminClient(bootstrap_servers=self.bootstrap)) as admin:
            admin.delete_topics([name])

    def delete_records(self, topic: str, *, before: int) -> None:
        """Deletes the records of a topic's first partition up to an offset, as retention does."""
        with closing(KafkaAdminClient(bootstrap_servers=self.bootstrap)) as admin:
            admin.delete_records({TopicPartition(topic, 0): before})


class KafkaServer(ServerProcess):
    """A Kafka broker that creates no topic by itself."""

    def __init__(
        self, settings: Mapping[str, str] | None = None, *, java_options: Sequence[str] = QUICK_START
    ) -> None:
        """Formats the storage; `settings` go on top of our server.properties; raises UnavailableError."""
        jars = fetch_dependencies(JARS)
        folder = make_folder("kafka")
        ca_file, server_file = write_certificates(folder)
        port, secure_port, controller_port = free_port(), free_port(), free_port()
        self.kafka = Kafka(f"127.0.0.1:{port}", f"127.0.0.1:{secure_port}", str(ca_file))
        properties = folder / "server.properties"
        lines = _properties(folder, server_file, port, secure_port, controller_port) | dict(settings or {})
        properties.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
        _format_storage(jars, properties, self.kafka)
        super().__init__(
            "kafka",
            [java(), "-Xmx512m", *java_options, "-cp", f"{jars}/*", "kafka.Kafka", properties],
            folder=folder,
            ready=lambda: accepts(port) and accepts(secure_port),
        )

    @property
    def bootstrap(self) -> str:
        """The open listener, host:port."""
        return self.kafka.bootstrap


def _properties(
    folder: Path, server_file: Path, port: int, secure_port: int, controller_port: int
) -> dict[str, str]:
    listeners = f"PLAINTEXT://127.0.0.1:{port},SASL_SSL://127.0.0.1:{secure_port}"
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"{listeners},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": listeners,
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(server_file),
        "log.dirs": str(folder / "data"),
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.num.partitions": "1",
        "transaction.state.log.min.isr": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        # A killed broker may come back only when its old session is over.
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "1000",
    }


def _format_storage(jars: Path, properties: Path, kafka: Kafka) -> None:
    # the first byte keeps it from beginning with a dash, which the tool would take for an option
    cluster_id = base64.urlsafe_b64encode(b"\0" + uuid4().bytes[1:]).decode().rstrip("=")
    command = [
        *(java(), *QUICK_START, "-cp", f"{jars}/*", "kafka.tools.StorageTool", "format", "--standalone"),
        *("-t", cluster_id, "-c", str(properties)),
        *("--add-scram", f"SCRAM-SHA-512=[name={kafka.user},password={kafka.password}]"),
    ]
    subprocess.run(command, check=True, capture_output=True)
