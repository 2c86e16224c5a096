"""Kafka Connect with Debezium's JDBC sink, standalone, tuned, as a side with one task or two."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import uuid4

from sqlalchemy import make_url

from benchmarks.ground import Ground
from benchmarks.sides import Command, Side
from benchmarks.targets import TABLE, Target
from benchmarks.topics import Format, Topic
from tests.services.jars import fetch_archive, fetch_dependencies, java
from tests.services.process import free_port

JDBC_SINK = "io.debezium:debezium-connector-jdbc:3.5.0.Final:tar.gz:plugin"
RUNTIME = "connect-4.3.1.pom.xml"
AVRO_CONVERTER = "connect-avro-2.6.13.pom.xml"


def jdbc_sink(ground: Ground, tasks: int = 1) -> Side:
    """Return the side; a JVM of its own for each turn, its start in nobody's time."""

    def commands(topic: Topic, target: Target, folder: Path) -> Sequence[Command]:
        runtime = fetch_dependencies(RUNTIME)
        worker, connector = folder / "worker.properties", folder / "connector.properties"
        _write(worker, _worker(ground, topic, folder))
        _write(connector, _connector(topic, target, tasks))
        main = "org.apache.kafka.connect.cli.ConnectStandalone"
        return [Command([java(), "-Xmx2g", "-cp", f"{runtime}/*", main, str(worker), str(connector)])]

    return Side(f"Debezium JDBC sink x {tasks}", commands)


def _write(file: Path, properties: Mapping[str, str]) -> None:
    file.write_text("".join(f"{name}={value}\n" for name, value in properties.items()))


def _plugins(folder: Path) -> Path:
    """Return a folder with the connector and the converter apart: together their Jackson versions clash."""
    plugins = folder / "plugins"
    plugins.mkdir()
    (plugins / "jdbc").symlink_to(fetch_archive(JDBC_SINK))
    (plugins / "avro").symlink_to(fetch_dependencies(AVRO_CONVERTER))
    return plugins


def _worker(ground: Ground, topic: Topic, folder: Path) -> dict[str, str]:
    properties = {
        "bootstrap.servers": ground.bootstrap,
        "offset.storage.file.filename": str(folder / "offsets"),
        "plugin.path": str(_plugins(folder)),
        "listeners": f"http://127.0.0.1:{free_port()}",
        "connector.client.config.override.policy": "All",
    }
    for part in ("key", "value"):
        properties |= _json(part) if topic.format is Format.JSON else _avro(part, ground)
    return properties


def _json(part: str) -> dict[str, str]:
    return {
        f"{part}.converter": "org.apache.kafka.connect.json.JsonConverter",
        f"{part}.converter.schemas.enable": "true",
    }


def _avro(part: str, ground: Ground) -> dict[str, str]:
    settings = {
        "url": ground.registry.replace("/apis/ccompat/v7", "/apis/registry/v2"),
        "as-confluent": "true",
        "use-id": "contentId",
        "headers.enabled": "false",
    }
    converter = {f"{part}.converter": "io.apicurio.registry.utils.converter.AvroConverter"}
    return converter | {
        f"{part}.converter.apicurio.registry.{name}": value for name, value in settings.items()
    }


def _connector(topic: Topic, target: Target, tasks: int) -> dict[str, str]:
    url = make_url(target.url)
    return {
        "name": f"jdbc-{uuid4().hex}",
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "topics": topic.name,
        "tasks.max": str(tasks),
        "connection.url": f"jdbc:postgresql://{url.host}:{url.port}/{url.database}?reWriteBatchedInserts=true",
        "connection.username": url.username or "",
        "connection.password": url.password or "",
        "insert.mode": "upsert",
        "primary.key.mode": "record_key",
        "delete.enabled": "true",
        "schema.evolution": "basic",
        "collection.name.format": TABLE,
        "batch.size": "2000",
        "use.reduction.buffer": "true",
        "consumer.override.max.poll.records": "2000",
    }
