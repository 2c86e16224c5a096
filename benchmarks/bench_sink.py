"""The sink: a flood of repeats against only reading it; distinct failures against the bare upsert of the same rows."""

from benchmarks.failures import fill_failures
from benchmarks.ground import Ground
from benchmarks.sides import Side, Turn, take_turn
from benchmarks.sinks import bare_upsert, only_read, sink
from benchmarks.stores import DATABASE, SinkStore
from benchmarks.topics import Topic
from benchmarks.turns import Goal, Section, publish

REPEATED = 1000


def run(ground: Ground) -> None:
    """Measure both; a million repeats and 200,000 distinct ones with the default of `--changes`."""
    _flood(ground)
    _distinct(ground)


def _flood(ground: Ground) -> None:
    topic = fill_failures(ground, records=REPEATED, repeats=ground.changes * 5 // REPEATED)
    store = SinkStore(ground, topic.records)
    counts = {"entries": REPEATED, "failures": topic.records}
    turns = _in_turns(ground, [only_read(ground), sink(ground)], topic, store, counts)
    about = f"{topic.records:,} failures of {REPEATED:,} records, {topic.bytes_each} bytes a message with its key, 4 partitions; store in PostgreSQL."
    publish(
        Section("Sink, a flood of repeats", about, turns, [Goal("instep sink", "only reading", 0.7)]),
        ground.results,
    )


def _distinct(ground: Ground) -> None:
    topic = fill_failures(ground, records=ground.changes, repeats=1)
    store = SinkStore(ground, topic.records)
    counts = {"entries": topic.records, "failures": topic.records}
    take_turn(sink(ground), topic, store, counts, ground.new_folder() / "run")
    filled = _set_aside(ground)
    turns = _in_turns(ground, [bare_upsert(ground, filled), sink(ground)], topic, store, counts)
    about = f"{topic.records:,} failures, each of another record, {topic.bytes_each} bytes a message with its key; store in PostgreSQL."
    remark = "The bare upsert has its rows in memory and neither reads Kafka nor decodes; it writes the same entries and payloads."
    publish(
        Section("Sink, distinct failures", about, turns, [Goal("instep sink", "bare upsert", 0.5)], [remark]),
        ground.results,
    )


def _in_turns(
    ground: Ground, sides: list[Side], topic: Topic, store: SinkStore, counts: dict[str, int]
) -> dict[str, list[Turn]]:
    turns: dict[str, list[Turn]] = {side.name: [] for side in sides}
    for number in range(ground.turns):
        for side in sides:
            turn = take_turn(side, topic, store, counts, ground.new_folder() / "run")
            turns[side.name].append(turn)
            print(
                f"  round {number + 1}: {side.name:32} {turn.rate:9,.0f}/s  {turn.seconds:6.1f} s  {turn.peak_mb:5.0f} MB",
                flush=True,
            )
    return turns


def _set_aside(ground: Ground) -> str:
    """Return the URL of a copy of the filled store."""
    url = ground.new_postgres_url()
    name = url.rsplit("/", 1)[1]
    ground.services.postgres.drop_database(name)
    ground.services.postgres.execute(f"create database {name} template {DATABASE}")
    return url
