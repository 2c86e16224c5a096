"""How far each partition of the error topic was ingested; the fence between sinks that both think they own it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, case, insert, select, update
from sqlalchemy.exc import IntegrityError

from sink.batch import Partition, Span
from sink.store.tables import ingest_position


@dataclass(frozen=True, slots=True)
class Ingested:
    """`position` is the next offset to read, `high_water` the greatest ever ingested, of the topic with this id."""

    position: int
    high_water: int
    topic_id: str | None = None


def read_positions(connection: Connection, topic: str) -> dict[Partition, Ingested]:
    """Return how far each partition of a topic was ingested; those never read are missing."""
    rows = connection.execute(select(ingest_position).where(ingest_position.c.topic == topic))
    return {(row.topic, row.partition): Ingested(row.position, row.high_water, row.topic_id) for row in rows}


def advance(
    connection: Connection, spans: Mapping[Partition, Span], now_us: int, topic_ids: Mapping[str, str | None]
) -> list[Partition]:
    """Move each position from the start of its span to the end; returns those that stood elsewhere: another sink moved them."""
    return [
        partition
        for partition, span in sorted(spans.items())
        if not _advance(connection, partition, span, now_us, topic_ids.get(partition[0]))
    ]


def start_anew(connection: Connection, partitions: Iterable[Partition]) -> None:
    """Forget partitions of a topic that was deleted and created again."""
    for topic, partition in partitions:
        same = (ingest_position.c.topic == topic) & (ingest_position.c.partition == partition)
        connection.execute(ingest_position.delete().where(same))


def _advance(
    connection: Connection, partition: Partition, span: Span, now_us: int, topic_id: str | None
) -> bool:
    topic, number = partition
    if span.start is None:
        row = {
            "topic": topic,
            "partition": number,
            "position": span.end,
            "high_water": span.end - 1,
            "updated_us": now_us,
            "topic_id": topic_id,
        }
        try:
            with connection.begin_nested():
                connection.execute(insert(ingest_position).values(row))
        except IntegrityError:
            return False
        return True
    table = ingest_position.c
    higher = case((table.high_water < span.end - 1, span.end - 1), else_=table.high_water)
    moved = connection.execute(
        update(ingest_position)
        .where(table.topic == topic, table.partition == number, table.position == span.start)
        .values(position=span.end, high_water=higher, updated_us=now_us, topic_id=topic_id)
    )
    return moved.rowcount == 1
