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
        result: list[dict[str, Any]] = self._ask("query", query=expression)["result"]
        return result

    def firing(self) -> dict[str, dict[str, str]]:
        """The annotations of the alerts that fire now, by name."""
        alerts = self._ask("alerts")["alerts"]
        return {a["labels"]["alertname"]: a["annotations"] for a in alerts if a["state"] == "firing"}

    def fired(self, within_s: float) -> set[str]:
        """The names of the alerts that have fired at some time within the last so many seconds."""
        found = self.query(f'count_over_time(ALERTS{{alertstate="firing"}}[{within_s * 1000:.0f}ms])')
        return {each["metric"]["alertname"] for each in found}

    def rules(self) -> list[dict[str, Any]]:
        """Every rule with its `name` and `health`: unknown, ok or err."""
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def _ask(self, what: str, **parameters: str) -> dict[str, Any]:
        path = f"/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as response:  # noqa: S310  loopback
                data: dict[str, Any] = json.load(response)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {json.load(error).get('error')}") from None
        return data

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
