"""The `worker` and `sink` parts of the configuration."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr

from schemas.config.part import Part
from schemas.config.scalar import (
    WHOLE,
    Address,
    Duration,
    ListenAddress,
    Name,
    Network,
    StateUrl,
    Text,
    Topic,
)


def _shown(default: str) -> Any:
    # In the JSON Schema: as it is written in a file, and not as stars where it could have been a secret.
    return Field(json_schema_extra={"default": default})


class StateConfig(Part):
    """Where a worker remembers open failures and parked changes."""

    url: Annotated[StateUrl, _shown("sqlite:///instep-worker.db")] = SecretStr("sqlite:///instep-worker.db")
    """A SQLite file, or a PostgreSQL database: several workers of one group need a database that they share."""


class WorkerConfig(Part):
    """The process that applies changes."""

    state: StateConfig = StateConfig()
    """Where the worker remembers open failures."""
    batch: Annotated[int, Field(ge=1, le=50_000), WHOLE] = 2000
    """How many changes at most are applied in one go."""
    metrics: Annotated[ListenAddress | None, _shown("127.0.0.1:9101")] = Address("127.0.0.1", 9101)
    """Where the worker serves its metrics, as host:port; null: nowhere."""
    progress_s: Annotated[float, Field(ge=0.1, le=120)] = 5
    """How many seconds lie between two progress events. The alerts take five minutes without one for a broken path."""
    name: Name | None = None
    """What this worker calls itself; left out: host name and process id."""


class StoreConfig(Part):
    """Where the sink keeps its entries."""

    url: Annotated[StateUrl, _shown("sqlite:///instep-sink.db")] = SecretStr("sqlite:///instep-sink.db")
    """A SQLite file, or a PostgreSQL database, which is the choice for production."""
    limit_gib: Annotated[float, Field(gt=0, le=1_000_000)] = 20
    """How large the store is meant to grow, in GiB. Nothing stops there: an alert says so a week before."""


class RetentionConfig(Part):
    """How long what is over is kept. Open entries are never aged out."""

    closed: Annotated[Duration, _shown("7d")] = timedelta(days=7)
    """How long resolved and discarded entries are kept."""
    payload: Annotated[Duration, _shown("7d")] = timedelta(days=7)
    """How long the messages of closed entries are kept, which may be shorter."""
    audit: Annotated[Duration, _shown("400d")] = timedelta(days=400)
    """How long it is kept who did what."""
    batch_rows: Annotated[int, Field(ge=1, le=100_000), WHOLE] = 1000
    """How many rows one transaction deletes."""


class TlsConfig(Part):
    """The certificate with which the sink answers, as files in PEM."""

    certificate: Text
    """The certificate, with those that lead to its issuer."""
    key: Text
    """The certificate's private key."""


class ReplayConfig(Part):
    """How replay jobs go about it, unless the one who starts one says otherwise."""

    rate_per_s: Annotated[int, Field(ge=1, le=100_000), WHOLE] = 50
    """How many entries a job sends in a second."""
    canaries: Annotated[int, Field(ge=0, le=1000), WHOLE] = 10
    """How many entries go first; when half of them fail the job stops itself. 0: none."""


class ForeignTopicConfig(Part):
    """A dead letter topic of another program, whose messages become entries too."""

    topic: Topic
    """The dead letter topic."""
    written_by: Literal["auto", "connect", "spring", "karafka", "plain"] = "auto"
    """Who writes it, which says what its headers mean; auto: told by the headers."""
    mapping: Name
    """The name under which its entries stand in the list."""
    replay_to: Topic | None = None
    """The topic that replays go to; left out: the original topic, as the headers name it."""


class SinkConfig(Part):
    """The process that keeps the list of what is wrong now."""

    store: StoreConfig = StoreConfig()
    """Where the entries are kept."""
    listen: Annotated[ListenAddress, _shown("127.0.0.1:8080")] = Address("127.0.0.1", 8080)
    """Where the page, the HTTP API, metrics and health are served, as host:port. Without a token only loopback is served."""
    tls: TlsConfig | None = None
    """The certificate to serve with; left out: plain HTTP, for loopback or behind a proxy that does TLS."""
    trusted_proxies: tuple[Network, ...] = ()
    """Addresses or networks of proxies whose X-Forwarded-* headers are believed."""
    metrics_access: Literal["open", "protected"] = "open"
    """Whether /metrics asks for a token, that of a viewer at least; health is always open."""
    replay: ReplayConfig = ReplayConfig()
    """How replay jobs go about it."""
    foreign: tuple[ForeignTopicConfig, ...] = ()
    """Dead letter topics of other programs, read into the same list."""
    group: Name
    """The consumer group of the sinks; left out: the workers' group with `.sink` after it."""
    retention: RetentionConfig = RetentionConfig()
    """How long closed entries are kept."""
    archive: Text | None = None
    """A folder for what is cleared; left out: the folder that the command, or the sink, runs in."""
    replay_timeout_s: Annotated[int, Field(ge=1), WHOLE] = 300
    """How many seconds a worker has to answer a replay before the entry is shown as unconfirmed."""
