"""One record in 500 whose name is longer than its column, against none."""

from dataclasses import replace

from benchmarks.ground import Ground
from benchmarks.targets import Database
from benchmarks.topics import Format
from benchmarks.turns import Goal, Section, in_turns_on, publish
from benchmarks.workers import failures_reported, workers

ONE_BAD_IN = 500


def run(ground: Ground) -> None:
    """Measure one worker on both, in each format."""
    for form in (Format.JSON, Format.AVRO):
        clean, bad = ground.topic(form), ground.topic(form, one_bad_in=ONE_BAD_IN)
        sides = [
            (replace(workers(ground), name="instep worker x 1, clean"), clean),
            (
                replace(
                    workers(ground),
                    name=f"instep worker x 1, one bad in {ONE_BAD_IN}",
                    check=failures_reported(ground),
                ),
                bad,
            ),
        ]
        turns = in_turns_on(ground, sides, ground.target(Database.POSTGRES))
        about = f"{clean.changes:,} Debezium changes, {form}, PostgreSQL; each bad one is reported on the error topic, all others are applied."
        goal = Goal(sides[1][0].name, sides[0][0].name, 1.3, at_most=True)
        publish(Section(f"One bad record in {ONE_BAD_IN}, {form}", about, turns, [goal]), ground.results)
