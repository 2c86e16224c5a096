"""The sink's application served from a thread on a port of this machine, as the sink serves it, without the sink's loops."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from schemas.config.model import Config
from sink.actions import now_us
from sink.health import Pulse
from sink.store.store import Store, open_store
from sink.web.app import create_app
from sink.web.recent import Recent
from sink.web.serving import Serving, bind
from sink.web.web import Web


@dataclass(frozen=True, slots=True)
class Served:
    """An application that answers at `url`; `pulse` is what it is told of the sink."""

    url: str
    pulse: Pulse
    store: Store


@contextmanager
def served(config: Config, store_url: str) -> Iterator[Served]:
    """Serve the application over a store until the end of the block."""
    store = open_store(store_url)
    pulse = Pulse({})
    listener = bind("127.0.0.1", 0)
    serving = Serving(
        create_app(Web(config, store, pulse, CollectorRegistry(), now_us, Recent(store, now_us))), listener
    )
    serving.start()
    try:
        yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", pulse, store)
    finally:
        serving.close()
        store.close()
