"""Our own Avro in its typed form against Debezium's Avro."""

from dataclasses import replace

from benchmarks.ground import Ground
from benchmarks.targets import Database
from benchmarks.topics import Format
from benchmarks.turns import Goal, Section, in_turns_on, publish
from benchmarks.workers import workers


def run(ground: Ground) -> None:
    """Measure one worker on both."""
    sides = [
        (replace(workers(ground), name=f"instep worker x 1, {name}"), ground.topic(form))
        for name, form in (("Debezium's Avro", Format.AVRO), ("our typed Avro", Format.TYPED))
    ]
    turns = in_turns_on(ground, sides, ground.target(Database.POSTGRES))
    sizes = " and ".join(f"{topic.bytes_each} bytes" for _, topic in sides)
    about = f"{ground.changes:,} changes, {sizes} a message with its key, 4 partitions, PostgreSQL."
    goal = Goal(sides[1][0].name, sides[0][0].name, 1.0)
    publish(Section("Our typed Avro", about, turns, [goal]), ground.results)
