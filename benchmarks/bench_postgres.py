"""Debezium changes into PostgreSQL: worker, bare loop and the JDBC sink, JSON and Avro, one and two processes or tasks."""

from benchmarks.connect import jdbc_sink
from benchmarks.ground import Ground
from benchmarks.loops import bare_loop
from benchmarks.targets import Database
from benchmarks.topics import Format
from benchmarks.turns import Goal, Section, in_turns, publish
from benchmarks.workers import workers

_GOALS = (
    Goal("instep worker x 1", "bare loop x 1", 0.75),
    Goal("instep worker x 2", "bare loop x 2", 0.75),
    Goal("instep worker x 1", "Debezium JDBC sink x 1", 1.2),
    Goal("instep worker x 2", "Debezium JDBC sink x 2", 1.8),
)


def run(ground: Ground) -> None:
    """Measure each format by itself."""
    target = ground.target(Database.POSTGRES)
    for form in (Format.JSON, Format.AVRO):
        topic = ground.topic(form)
        sides = [
            side
            for count in (1, 2)
            for side in (bare_loop(ground, count), workers(ground, count), jdbc_sink(ground, count))
        ]
        about = f"{topic.changes:,} Debezium changes, {form}, {topic.bytes_each:,} bytes a message with its key, 4 partitions, PostgreSQL."
        publish(
            Section(f"PostgreSQL, {form}", about, in_turns(ground, sides, topic, target), _GOALS),
            ground.results,
        )
