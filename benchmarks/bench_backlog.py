"""Ten times the changes: the worker's rate and memory must stay what they are."""

from dataclasses import replace

from benchmarks.ground import Ground
from benchmarks.targets import Database
from benchmarks.topics import Format
from benchmarks.turns import Goal, Section, in_turns_on, publish
from benchmarks.workers import workers

TIMES = 10


def run(ground: Ground) -> None:
    """Measure each format by itself."""
    target = ground.target(Database.POSTGRES)
    for form in (Format.JSON, Format.AVRO):
        topics = [ground.topic(form), ground.topic(form, ground.changes * TIMES)]
        names = [f"instep worker x 1, {topic.changes:,}" for topic in topics]
        sides = [
            (replace(workers(ground), name=name), topic) for name, topic in zip(names, topics, strict=True)
        ]
        turns = in_turns_on(ground, sides, target)
        about = f"{form}, {topics[0].bytes_each:,} bytes a message with its key, 4 partitions, PostgreSQL. Peak memory wanted: under 200 MB, and flat."
        publish(
            Section(f"Ten times the backlog, {form}", about, turns, [Goal(names[1], names[0], 0.9)]),
            ground.results,
        )
