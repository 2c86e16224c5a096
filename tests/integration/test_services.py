"""The services that other tests lean on keep what they were given, over restarts and crashes."""

from contextlib import closing

import psycopg
import pymysql
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from tests.conftest import CreateTopic
from tests.services.kafka import Kafka, KafkaServer
from tests.services.mariadb import MariaDbServer
from tests.services.postgres import PostgresServer
from tests.services.process import ServerProcess
from tests.services.registry import Registry


def end(server: ServerProcess, how: str) -> None:
    server.stop() if how == "stop" else server.kill()
    assert not server.is_running


def read_one(topic: str, **options: object) -> bytes:
    options = {"auto_offset_reset": "earliest", "consumer_timeout_ms": 20_000, **options}
    with closing(KafkaConsumer(**options)) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        value: bytes = next(iter(consumer)).value
    return value


def send(topic: str, value: bytes, **options: object) -> None:
    with closing(KafkaProducer(**options)) as producer:
        producer.send(topic, value).get(20)


def test_kafka_is_reached_over_tls_with_scram(kafka: Kafka, topic: CreateTopic) -> None:
    name = topic()
    send(name, b"in the open", bootstrap_servers=kafka.bootstrap)
    value = read_one(
        name,
        bootstrap_servers=kafka.secure_bootstrap,
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username=kafka.user,
        sasl_plain_password=kafka.password,
        ssl_cafile=kafka.ca_file,
    )
    assert value == b"in the open"


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_kafka_keeps_records_and_address(own_kafka: KafkaServer, how: str) -> None:
    own_kafka.kafka.create_topic("kept")
    send("kept", b"before", bootstrap_servers=own_kafka.bootstrap)
    end(own_kafka, how)
    own_kafka.start()
    assert read_one("kept", bootstrap_servers=own_kafka.bootstrap) == b"before"


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_postgres_keeps_rows_and_address(own_postgres: PostgresServer, how: str) -> None:
    postgres = own_postgres.postgres
    postgres.execute("create table kept as select 42 as n")
    end(own_postgres, how)
    own_postgres.start()
    with psycopg.connect(postgres.url("postgres").replace("+psycopg", "")) as connection:
        assert connection.execute("select n from kept").fetchall() == [(42,)]


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_mariadb_keeps_rows_and_address(own_mariadb: MariaDbServer, how: str) -> None:
    mariadb = own_mariadb.mariadb
    name = mariadb.create_database()
    mariadb.execute(f"create table {name}.kept as select 42 as n")
    end(own_mariadb, how)
    own_mariadb.start()
    login = pymysql.connect(
        host=mariadb.host, port=mariadb.port, user=mariadb.user, password=mariadb.password
    )
    with closing(login) as connection, connection.cursor() as cursor:
        cursor.execute(f"select n from {name}.kept")
        assert cursor.fetchall() == ((42,),)


def test_registry_gives_equal_schemas_one_id(registry: Registry) -> None:
    assert registry.register("tests-value", '"long"') == registry.register("tests-value", '"long"')
