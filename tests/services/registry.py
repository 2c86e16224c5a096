"""Apicurio Registry, kept in memory, spoken to through its Confluent-compatible API."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.services.jars import QUICK_START, fetch_archive, java
from tests.services.process import ServerProcess, free_port, make_folder

PROGRAM = "io.apicurio:apicurio-registry-app:3.3.3:tar.gz:all"


@dataclass(frozen=True, slots=True)
class Registry:
    """How to reach a schema registry; `url` is the root of Confluent's API."""

    url: str

    def register(self, subject: str, schema: str) -> int:
        """Registers a schema text under a subject and returns its id."""
        answer = self._ask(f"/subjects/{subject}/versions", json.dumps({"schema": schema}).encode())
        return int(answer["id"])

    def answers(self) -> bool:
        """Whether the registry is ready."""
        try:
            self._ask("/subjects")
        except (urllib.error.URLError, ConnectionError, json.JSONDecodeError):
            return False
        return True

    def _ask(self, path: str, body: bytes | None = None) -> "dict[str, int]":
        headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
        request = urllib.request.Request(f"{self.url}{path}", data=body, headers=headers)  # noqa: S310  loopback
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310  loopback
            answer: dict[str, int] = json.load(response)
        return answer


class RegistryServer(ServerProcess):
    """A schema registry."""

    def __init__(self) -> None:
        """Fetches the program when it is absent; raises UnavailableError."""
        program = fetch_archive(PROGRAM)
        folder, port = make_folder("registry"), free_port()
        self.registry = Registry(f"http://127.0.0.1:{port}/apis/ccompat/v7")
        command: list[str | Path] = [
            *(java(), "-Xmx512m", *QUICK_START, f"-Djava.io.tmpdir={folder}"),
            *(f"-Dquarkus.http.port={port}", "-Dquarkus.http.host=127.0.0.1"),
            *(f"-Dquarkus.management.port={free_port()}", "-Dquarkus.management.host=127.0.0.1"),
            *("-jar", program / "quarkus-run.jar"),
        ]
        super().__init__(
            "registry",
            command,
            folder=folder,
            ready=self.registry.answers,
            work_folder=program,
        )
