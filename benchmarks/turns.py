"""Sides in turn, medians, the table on the terminal and the section in RESULTS.md."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.ground import Ground, machine
from benchmarks.sides import Side, Turn, take_turn
from benchmarks.targets import Target
from benchmarks.topics import Topic

HOW = (
    "Sides in turn within one run; each starts on an empty table with a consumer group of its own. Timed from outside, for every "
    "side alike: from the first committed row to the last. Rates and the process's own CPU are medians, ratios the median of the "
    "ratios within each round. After each turn all rows were compared with the expected ones."
)
Turns = Mapping[str, Sequence[Turn]]


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio of one side to another that has to be reached; `at_most` where time is compared instead of rate."""

    side: str
    to: str
    ratio: float
    at_most: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """What one benchmark found."""

    title: str
    about: str
    turns: Turns
    goals: Sequence[Goal]
    remarks: Sequence[str] = ()


def in_turns(ground: Ground, sides: Sequence[Side], topic: Topic, target: Target) -> dict[str, list[Turn]]:
    """Run A B C A B C … and return the turns of each side."""
    return in_turns_on(ground, [(side, topic) for side in sides], target)


def in_turns_on(ground: Ground, sides: Sequence[tuple[Side, Topic]], target: Target) -> dict[str, list[Turn]]:
    """Like `in_turns`, with a topic for each side."""
    turns: dict[str, list[Turn]] = {side.name: [] for side, _ in sides}
    for number in range(ground.turns):
        for side, topic in sides:
            turn = take_turn(side, topic, target, ground.expected(topic), ground.new_folder() / "run")
            turns[side.name].append(turn)
            print(
                f"  round {number + 1}: {side.name:32} {turn.rate:9,.0f}/s  {turn.seconds:6.1f} s  {turn.peak_mb:5.0f} MB",
                flush=True,
            )
    return turns


def ratio(turns: Turns, goal: Goal) -> float:
    """Return the median, over the rounds, of the ratio within a round: of rates, or of times for an `at_most` goal."""
    pairs = zip(turns[goal.side], turns[goal.to], strict=True)
    ratios = [to.rate / side.rate if goal.at_most else side.rate / to.rate for side, to in pairs]
    return statistics.median(ratios)


def publish(section: Section, results: Path) -> None:
    """Print a section and append it to the results."""
    heads = ("side", "records/s", "least to most", "own CPU µs a record", "peak MB")
    rows = [_row(name, turns) for name, turns in section.turns.items()]
    verdicts = [_verdict(section.turns, goal) for goal in section.goals]
    table = Table(*heads, title=section.title)
    for row in rows:
        table.add_row(*row)
    Console(width=120).print(table)
    for line in (*verdicts, *section.remarks):
        print(f"- {line}")
    _append(section, heads, rows, verdicts, results)


def _row(name: str, turns: Sequence[Turn]) -> tuple[str, ...]:
    rates = [turn.rate for turn in turns]
    cpu = statistics.median(turn.cpu_s / turn.records * 1e6 for turn in turns)
    spread = f"{min(rates):,.0f} to {max(rates):,.0f}"
    return (
        name,
        f"{statistics.median(rates):,.0f}",
        spread,
        f"{cpu:.1f}",
        f"{max(turn.peak_mb for turn in turns):.0f}",
    )


def _verdict(turns: Turns, goal: Goal) -> str:
    found = ratio(turns, goal)
    reached = found <= goal.ratio if goal.at_most else found >= goal.ratio
    wanted = f"{'at most' if goal.at_most else 'at least'} {goal.ratio:g}"
    what = "time of" if goal.at_most else "rate of"
    return f"{'reached' if reached else 'MISSED'}: {what} {goal.side} to {goal.to} = {found:.2f} (wanted: {wanted})"


def _append(
    section: Section,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    verdicts: Sequence[str],
    results: Path,
) -> None:
    rounds = len(next(iter(section.turns.values())))
    lines = [
        f"## {section.title}",
        "",
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine()}. Rounds: {rounds}. {section.about}",
        "",
    ]
    lines += ["| " + " | ".join(heads) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    append_lines([*lines, "", *(f"- {line}" for line in (*verdicts, *section.remarks)), ""], results)


def append_lines(lines: Sequence[str], results: Path) -> None:
    """Append a section's lines to the results."""
    if not results.exists():
        results.write_text(f"# Results\n\n{HOW}\n\n")
    with results.open("a") as file:
        file.write("\n".join(lines) + "\n")
