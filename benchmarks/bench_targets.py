"""MariaDB and SQLite: the worker against a bare loop with that database's bulk upsert."""

from benchmarks.ground import Ground
from benchmarks.loops import bare_loop
from benchmarks.targets import Database
from benchmarks.topics import Format
from benchmarks.turns import Goal, Section, in_turns, publish
from benchmarks.workers import workers


def run(ground: Ground) -> None:
    """Measure each database by itself."""
    topic = ground.topic(Format.AVRO)
    about = f"{topic.changes:,} Debezium changes, avro, {topic.bytes_each:,} bytes a message with its key, 4 partitions."
    goal = Goal("instep worker x 1", "bare loop x 1", 0.6)
    for database in (Database.MARIADB, Database.SQLITE):
        turns = in_turns(ground, [bare_loop(ground), workers(ground)], topic, ground.target(database))
        publish(Section(f"{database}, avro", about, turns, [goal]), ground.results)
