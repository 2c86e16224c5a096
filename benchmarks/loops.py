"""The bare loop as a side, in as many processes as wanted."""

import sys
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from benchmarks.ground import Ground
from benchmarks.sides import Command, Side
from benchmarks.targets import Target
from benchmarks.topics import Topic


def bare_loop(ground: Ground, processes: int = 1) -> Side:
    """Return the side; its processes share one consumer group."""

    def commands(topic: Topic, target: Target, _: Path) -> Sequence[Command]:
        kafka = ("--bootstrap", ground.bootstrap, "--topic", topic.name, "--group", f"bare-{uuid4().hex}")
        what = ("--format", topic.format, "--registry", ground.registry, "--url", target.url)
        return [Command([sys.executable, "-m", "benchmarks.bare", *kafka, *what])] * processes

    return Side(f"bare loop x {processes}", commands)
