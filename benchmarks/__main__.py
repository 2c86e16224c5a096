"""`python -m benchmarks [NAME …]`: measure, print and append to benchmarks/RESULTS.md."""

import argparse
import signal
from pathlib import Path

from benchmarks import (
    bench_backlog,
    bench_bad,
    bench_pages,
    bench_postgres,
    bench_purge,
    bench_replay,
    bench_sink,
    bench_targets,
    bench_typed,
)
from benchmarks.ground import open_ground

BENCHMARKS = {
    "postgres": bench_postgres.run,
    "typed": bench_typed.run,
    "targets": bench_targets.run,
    "bad": bench_bad.run,
    "sink": bench_sink.run,
    "backlog": bench_backlog.run,
    "pages": bench_pages.run,
    "purge": bench_purge.run,
    "replay": bench_replay.run,
}
RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> None:
    """Run the benchmarks that are asked for, all of them by default."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(BENCHMARKS)}; none: all")
    parser.add_argument("--changes", type=int, default=200_000, help="changes in a topic (200000)")
    parser.add_argument("--turns", type=int, default=3, help="turns of each side (3)")
    parser.add_argument(
        "--services",
        type=Path,
        help="a file of `python -m tests.services up`, instead of services of our own",
    )
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="where to append (benchmarks/RESULTS.md)"
    )
    args = parser.parse_args()
    unknown = [name for name in args.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    # whoever ends the run by SIGTERM still gets services and sides stopped
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with open_ground(args.services, args.changes, args.turns, args.results) as ground:
        for name in args.names or BENCHMARKS:
            BENCHMARKS[name](ground)


if __name__ == "__main__":
    main()
