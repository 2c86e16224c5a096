import base64
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest
from pydantic import SecretStr

from plumbing.codec import open_codec
from plumbing.registry import Registry, RegistryUnreachable
from schemas.config.kafka import KafkaConfig, RegistryConfig
from schemas.framing import confluent_id
from tests.services.registry import Registry as Running

SCHEMA = '{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}'


class Answers(ThreadingHTTPServer):
    """A server that gives one answer to everything and remembers what it was asked."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.body = status, body
        self.asked: list[tuple[str, str | None]] = []

    @property
    def config(self) -> RegistryConfig:
        return RegistryConfig(
            url=f"http://127.0.0.1:{self.server_port}", username="u", password=SecretStr("hunter2")
        )


class _Handler(BaseHTTPRequestHandler):
    server: Answers

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Authorization"]))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002  the name is inherited
        pass


@pytest.fixture
def answers() -> Iterator[Answers]:
    with Answers(200, json.dumps({"schema": SCHEMA, "id": 7}).encode()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_schema_registered_is_found_by_its_id(registry: Running) -> None:
    with Registry(RegistryConfig(url=registry.url)) as client:
        schema_id = client.register_schema(f"test-{uuid4()}", SCHEMA)

        found = client.find_schema(schema_id)

    assert found is not None
    assert json.loads(found) == json.loads(SCHEMA)


def test_registering_again_gives_the_same_id(registry: Running) -> None:
    subject = f"test-{uuid4()}"
    with Registry(RegistryConfig(url=registry.url)) as client:
        assert client.register_schema(subject, SCHEMA) == client.register_schema(subject, SCHEMA)


def test_an_id_that_nothing_has_is_none(registry: Running) -> None:
    with Registry(RegistryConfig(url=registry.url)) as client:
        assert client.find_schema(999_999_999) is None


def test_events_go_in_confluents_format_when_a_registry_is_configured(registry: Running) -> None:
    config = KafkaConfig(bootstrap=("h:1",), group="g", registry=RegistryConfig(url=registry.url))
    with ExitStack() as closing, Registry(RegistryConfig(url=registry.url)) as client:
        codec = open_codec(config, closing)
        prefix = next(iter(codec._prefix.values()))

        assert client.find_schema(confluent_id(prefix)) is not None


def test_a_schema_is_asked_for_once_and_with_the_password(answers: Answers) -> None:
    with Registry(answers.config) as client:
        assert client.find_schema(7) == client.find_schema(7) == SCHEMA

    login = "Basic " + base64.b64encode(b"u:hunter2").decode()
    assert answers.asked == [("/schemas/ids/7", login)]


def test_a_schema_of_another_kind_is_none(answers: Answers) -> None:
    answers.body = json.dumps({"schema": "message", "schemaType": "PROTOBUF"}).encode()

    with Registry(answers.config) as client:
        assert client.find_schema(7) is None


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, b"hunter2", "answers HTTP 401"),
        (500, b"{}", "answers HTTP 500"),
        (302, b"{}", "answers HTTP 302"),
        (200, b"<html>", "it is no schema registry"),
        (200, b"[]", "does not answer as a schema registry does"),
        (200, b'{"error": 1}', "does not answer as a schema registry does"),
    ],
)
def test_any_other_answer_is_no_verdict_on_the_record(
    answers: Answers, status: int, body: bytes, words: str
) -> None:
    answers.status, answers.body = status, body

    with Registry(answers.config) as client, pytest.raises(RegistryUnreachable, match=words) as error:
        client.find_schema(7)

    assert "hunter2" not in str(error.value)


def test_after_an_outage_it_is_asked_again(answers: Answers) -> None:
    with Registry(answers.config) as client:
        answers.status = 503
        with pytest.raises(RegistryUnreachable):
            client.find_schema(7)
        answers.status = 200

        assert client.find_schema(7) == SCHEMA


def test_a_registry_that_is_away() -> None:
    with (
        Registry(RegistryConfig(url="http://127.0.0.1:1")) as client,
        pytest.raises(RegistryUnreachable, match=r"127\.0\.0\.1:1 does not answer"),
    ):
        client.find_schema(7)


def test_a_ca_file_that_is_away() -> None:
    with pytest.raises(RegistryUnreachable, match="ca_file of the registry cannot be read: No such file"):
        Registry(RegistryConfig(url="https://127.0.0.1:1", ca_file="/nowhere/ca.pem"))
