"""`instep topics …`: topics are created on purpose, never by accident of a produce."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from instep.configuration import DEFAULT_FILE, ConfigFile, load
from instep.exit import CODES_HELP, Exit
from schemas.config.model import Config

if TYPE_CHECKING:
    from kafka import KafkaAdminClient

app = typer.Typer(
    no_args_is_help=True, help="Create the topics that the configuration names, or look at them."
)


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic that the configuration names; `partitions` is None where it does not exist."""

    name: str
    purpose: str
    partitions: int | None


@app.command(epilog=CODES_HELP)
def create(
    config: ConfigFile = DEFAULT_FILE,
    partitions: Annotated[
        int, typer.Option("--partitions", min=1, help="How many partitions each new topic gets.")
    ] = 6,
    replication: Annotated[
        int,
        typer.Option(
            "--replication", min=-1, help="How many brokers keep each partition; -1: as the brokers say."
        ),
    ] = -1,
    sources: Annotated[
        bool, typer.Option("--sources", help="Create the source topics too, where nobody else does.")
    ] = False,
) -> None:
    """Create the error topic and the replay topic; what exists stays as it is.

    ```
    instep topics create -c instep.yaml
    instep topics create --sources --partitions 12 --replication 3
    ```
    """
    checked = load(config)
    with _admin(checked) as admin:
        for topic in _topics(checked, admin):
            if topic.purpose == SOURCE and not sources:
                continue
            if topic.partitions is not None:
                typer.echo(f"{topic.name}: exists, {topic.partitions} partitions{_compacted(topic, admin)}")
                continue
            _create(admin, topic, partitions, replication)
            typer.echo(f"{topic.name}: created, {partitions} partitions")


@app.command("list", epilog=CODES_HELP)
def list_topics(
    config: ConfigFile = DEFAULT_FILE,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON Lines.")] = False,
) -> None:
    """Show every topic that the configuration names, and whether it exists; exit code 1 when one does not.

    ```
    instep topics list
    ```
    """
    checked = load(config)
    with _admin(checked) as admin:
        topics = _topics(checked, admin)
    if as_json:
        for topic in topics:
            typer.echo(json.dumps(asdict(topic)))
    else:
        _print(topics)
    if any(topic.partitions is None for topic in topics):
        raise typer.Exit(Exit.FAILED)


SOURCE = "changes"
_OWN = {"cleanup.policy": "delete"}


@contextmanager
def _admin(config: Config) -> Iterator["KafkaAdminClient"]:
    from kafka.errors import KafkaError

    from plumbing.kafka import admin
    from plumbing.logs import configure_logs

    configure_logs()
    opened = admin(config.kafka)
    try:
        yield opened
    except KafkaError as error:
        typer.echo(f"Kafka refuses: {error}", err=True)
        raise typer.Exit(Exit.FAILED) from None
    finally:
        opened.close()


def _topics(config: Config, admin: "KafkaAdminClient") -> list[Topic]:
    purposes = {config.kafka.errors_topic: "errors", config.kafka.replay_topic: "replays"}
    purposes |= {mapping.source.topic: SOURCE for mapping in config.mappings.values()}
    described = {each["name"]: each for each in admin.describe_topics(list(purposes))}
    return [Topic(name, purpose, _partitions(described.get(name))) for name, purpose in purposes.items()]


def _partitions(described: dict[str, object] | None) -> int | None:
    if described is None or described["error_code"]:
        return None
    partitions = described["partitions"]
    return len(partitions) if isinstance(partitions, list) else None


def _create(admin: "KafkaAdminClient", topic: Topic, partitions: int, replication: int) -> None:
    settings = {
        "num_partitions": partitions,
        "replication_factor": replication,
        "configs": {} if topic.purpose == SOURCE else _OWN,
    }
    admin.create_topics({topic.name: settings}, wait_for_metadata=True)


def _compacted(topic: Topic, admin: "KafkaAdminClient") -> str:
    """Return a warning for a topic of ours that compaction would eat."""
    if topic.purpose == SOURCE:
        return ""
    from kafka.admin import ConfigResource

    asked = [ConfigResource("topic", topic.name, ["cleanup.policy"])]
    described = admin.describe_configs(asked, config_filter="all")
    policy = str(described["topic"][topic.name]["cleanup.policy"]["value"])
    return f"; its cleanup.policy is {policy}, but must be delete" if "compact" in policy else ""


def _print(topics: list[Topic]) -> None:
    table = Table("topic", "carries", "partitions", box=None)
    for topic in topics:
        table.add_row(
            topic.name, topic.purpose, "does not exist" if topic.partitions is None else str(topic.partitions)
        )
    Console().print(table)
