"""The demo's configuration file, written for the ports that are free."""

import socket
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the programs listen, as host:port."""

    broker: str
    worker: str
    sink: str

    @property
    def page(self) -> str:
        """The URL of the sink's page."""
        return f"http://{self.sink}/"

    @property
    def worker_metrics(self) -> str:
        """The URL of the worker's metrics."""
        return f"http://{self.worker}/metrics"

    @property
    def sink_metrics(self) -> str:
        """The URL of the sink's metrics."""
        return f"http://{self.sink}/metrics"

    @property
    def sink_ready(self) -> str:
        """The URL that says whether the sink is ready."""
        return f"http://{self.sink}/readyz"


def find_addresses() -> Addresses:
    """Return loopback addresses that are free at this moment."""
    with ExitStack() as closing:
        probes = [closing.enter_context(socket.create_server((_HOST, 0))) for _ in range(3)]
        return Addresses(*(f"{_HOST}:{probe.getsockname()[1]}" for probe in probes))


def write_configuration(folder: Path, addresses: Addresses) -> Path:
    """Write `instep.yaml` into the folder and return its path."""
    template = Template(files("demo").joinpath("instep.yaml").read_text())
    file = folder / "instep.yaml"
    file.write_text(
        template.substitute(
            folder=folder, broker=addresses.broker, worker=addresses.worker, sink=addresses.sink
        )
    )
    return file
