"""The commands, configuration and files of docker-compose.yml, run as processes: the path works as it does there.

Containers become processes: addresses by the names of services become ports of ours, Kafka and PostgreSQL are set up
from the mounted files as the images would do it. Programs, arguments, environment and configuration stay as they are.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from kafka import KafkaProducer

from tests.acceptance.program import Program
from tests.acceptance.world import change, fetch
from tests.command import run_instep
from tests.contract.connectors.target import Target
from tests.services.kafka import KafkaServer
from tests.services.postgres import PostgresServer
from tests.services.process import free_port, wait_until
from tests.unit.house import ROOT

PASSWORD = "kept-in-the-environment"
LASTING = ("worker-1", "worker-2", "sink")
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()


def command_of(service: Mapping[str, Any]) -> list[str]:
    """What follows the image's entry point, which is `instep`."""
    assert 'ENTRYPOINT ["instep"]' in DOCKERFILE
    return [str(word) for word in service["command"]]


@dataclass(slots=True)
class Composed:
    """The services of ours as processes."""

    folder: Path
    services: Mapping[str, Mapping[str, Any]]
    kafka: str
    postgres: PostgresServer
    sink_port: int = field(default_factory=free_port)
    archive: Path = field(init=False)
    programs: dict[str, Program] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.archive = self.folder / "archive"
        self.archive.mkdir()

    def environment(self, name: str) -> dict[str, str]:
        """What the file sets for a service, the passwords as a person would put them into .env."""
        given = self.services[name]["environment"]
        assert set(given) == {"INSTEP_DB_PASSWORD"}
        assert "INSTEP_CONFIG=/etc/instep/instep.yaml" in DOCKERFILE
        return {"INSTEP_DB_PASSWORD": PASSWORD, "INSTEP_CONFIG": str(self.configuration(name))}

    def configuration(self, name: str) -> Path:
        """The mounted configuration with the addresses of this machine."""
        mount, archive = (each.split(":") for each in self.services[name]["volumes"])
        assert mount[1:] == ["/etc/instep/instep.yaml", "ro"]
        text = (ROOT / mount[0]).read_text()
        addresses = {
            archive[1]: str(self.archive),
            "kafka:9092": self.kafka,
            "@postgres:5432": f"@127.0.0.1:{self.postgres.postgres.port}",
            "0.0.0.0:9101": f"127.0.0.1:{free_port()}",
            "0.0.0.0:8080": f"127.0.0.1:{self.sink_port}",
        }
        for there, here in addresses.items():
            assert text.count(there) >= 1, there
            text = text.replace(there, here)
        file = self.folder / f"{name}.yaml"
        file.write_text(text)
        return file

    def start(self, name: str) -> Program:
        """Start a service."""
        command = command_of(self.services[name])
        log = self.folder / f"{name}.log"
        program = Program(command, log, environment=self.environment(name))
        self.programs[name] = program
        return program

    def run(self, *command: str) -> str:
        """Run a command as `docker compose exec sink instep …` does."""
        done = run_instep(*command, folder=self.folder, environment=self.environment("sink"))
        assert done.returncode == 0, done.stderr
        return done.stdout


def set_up_databases(postgres: PostgresServer, script: Path) -> None:
    """Run the script that the image runs when its volume is empty."""
    server = postgres.postgres
    login = {"PGPASSWORD": server.password, "INSTEP_DB_PASSWORD": PASSWORD}
    command = ["psql", "-v", "ON_ERROR_STOP=1", "-h", server.host, "-p", str(server.port), "-U", server.user]
    subprocess.run(
        [*command, "-f", str(script), "postgres"], env=os.environ | login, check=True, capture_output=True
    )


@pytest.fixture
def composed(own_kafka: KafkaServer, own_postgres: PostgresServer, tmp_path: Path) -> Iterator[Composed]:
    """Kafka and PostgreSQL as the file has them, and nothing else yet."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    set_up_databases(own_postgres, ROOT / "deploy" / "compose" / "databases.sql")
    made = Composed(tmp_path, services, own_kafka.bootstrap, own_postgres)
    yield made
    for program in made.programs.values():
        program.kill()


def customer(number: str, name: str) -> tuple[bytes, bytes]:
    """A customer's message as the source app sends it."""
    row = {"number": number, "name": name, "email": f"{number}@example.com", "city": "Zürich"}
    return json.dumps({"number": number}).encode(), change("c", None, row)


def test_the_commands_of_the_compose_file_make_the_path_work(
    composed: Composed, own_kafka: KafkaServer
) -> None:
    own_kafka.kafka.create_topic("erp.customers", partitions=3)
    for name in ("topics", "token"):
        assert composed.start(name).wait(within_s=30) == 0, composed.programs[name].log
    for name in LASTING:
        composed.start(name)
    producer = KafkaProducer(bootstrap_servers=own_kafka.bootstrap)
    for key, value in (customer("C001", "  Ada  "), customer("C002", "x" * 101)):
        producer.send("erp.customers", value, key=key)
    producer.close()

    crm = Target("postgres", composed.postgres.postgres.url("crm"))
    wait_until(lambda: crm.rows("select 1 from account") != [], timeout_s=60, what="the customer arrives")
    wait_until(
        lambda: composed.run("errors", "list", "--json") != "", timeout_s=60, what="the entry is there"
    )

    assert crm.rows("select account_number, name, city from account") == [("C001", "Ada", "Zürich")]
    (entry,) = [json.loads(line) for line in composed.run("errors", "list", "--json").splitlines()]
    assert (entry["record_id"], entry["code"], entry["state"]) == ("C002", "too_long", "open")
    assert "instep_entries" in fetch(f"http://127.0.0.1:{composed.sink_port}/metrics")

    composed.run("errors", "clear", "--include-open", "--yes")
    assert [file.suffix for file in composed.archive.iterdir()] == [".avro"]
    assert fetch(f"http://127.0.0.1:{composed.sink_port}/readyz") != ""
    stopped = {name: composed.programs[name].stop(within_s=10) for name in LASTING}
    assert stopped == dict.fromkeys(LASTING, 0)
    assert PASSWORD not in "".join(program.log for program in composed.programs.values())
