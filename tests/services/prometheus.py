"""Prometheus as the Debian package ships it, with a configuration of the test's own."""

import json
import shutil
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.services.process import ServerProcess, UnavailableError, free_port, make_folder


@dataclass(frozen=True, slots=True)
class Prometheus:
    """How to reach a Prometheus server."""

    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result vector of an instant query."""
        path = "/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(self.url + path, timeout=5) as response:  # noqa: S310  loopback
            result: list[dict[str, Any]] = json.load(response)["data"]["result"]
        return result

    def answers(self) -> bool:
        """Whether the server is ready."""
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):  # noqa: S310  loopback
                return True
        except (urllib.error.URLError, ConnectionError):
            return False


class PrometheusServer(ServerProcess):
    """A Prometheus server that scrapes what `config_file` names."""

    def __init__(self, config_file: Path) -> None:
        """Finds the program; raises UnavailableError."""
        program = shutil.which("prometheus")
        if program is None:
            raise UnavailableError("no Prometheus (Debian package prometheus)")
        folder = make_folder("prometheus")
        port = free_port()
        self.prometheus = Prometheus(f"http://127.0.0.1:{port}")
        command = [
            program,
            f"--config.file={config_file}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        super().__init__("prometheus", command, folder=folder, ready=self.prometheus.answers)
