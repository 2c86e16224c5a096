"""What the demo prints: readable in 80 columns, on a terminal and in a pipe."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from demo.configuration import Addresses
from demo.story import Turn


@dataclass(frozen=True, slots=True)
class Played:
    """A turn that was played: what was seen in the end, what was not as it should be, and how long it took."""

    turn: Turn
    seen: str
    wrong: Sequence[str]
    seconds: float


class Screen:
    """The terminal, or the file that the output goes to."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def welcome(self, turns: int) -> None:
        """Say what is about to happen."""
        self._console.print(
            Text("Instep keeps the records of two apps in step.\n", style="bold"),
            f"An ERP tells its changes through Kafka, a CRM gets them. {turns} turns, with everything that can go wrong "
            "on the way. Starting a broker, a worker and a sink …",
            sep="",
        )

    def page(self, addresses: Addresses) -> None:
        """Say where the page is, on which the story can be followed."""
        self._console.print("The page, to follow the story in a browser: ", end="")
        self._console.print(Text(addresses.page, style="bold"))

    def turn(self, number: int, turns: int, turn: Turn) -> None:
        """Say what is done in a turn, and what is expected of it."""
        self._console.print()
        self._console.rule(
            Text(f"{number} of {turns}  {turn.title}", style="bold"), align="left", characters="-"
        )
        self._console.print(Text(turn.told))
        self._console.print(Text.assemble("Expected: ", (turn.outcome, "italic")))
        self._console.print(Text.assemble("On the page: ", (turn.look, "italic")))

    def played(self, played: Played) -> None:
        """Say whether a turn went as it should."""
        if played.wrong:
            self._console.print(Text(f"NOT as expected after {played.seconds:.0f} s:", style="bold red"))
            for what in played.wrong:
                self._console.print(Text(f"  {what}", style="red"))
            self._console.print(Text(f"Seen: {played.seen}"))
        else:
            self._console.print(Text(f"As expected, after {played.seconds:.1f} s.", style="green"))

    def summary(self, played: Sequence[Played], turns: Sequence[Turn], seconds: float) -> None:
        """Show every turn with what was expected of it and what was seen."""
        self._console.print()
        table = Table(title=f"The story, in {seconds:.0f} s", box=None, pad_edge=False, title_justify="left")
        table.add_column("turn", ratio=3)
        table.add_column("expected", ratio=4)
        table.add_column("actual", ratio=5)
        table.add_column("", no_wrap=True)
        for each in played:
            mark = Text("NO", style="bold red") if each.wrong else Text("ok", style="green")
            table.add_row(each.turn.title, each.turn.outcome, Text(each.seen), mark)
        for turn in turns[len(played) :]:
            table.add_row(turn.title, turn.outcome, Text("not played", style="dim"), "")
        self._console.print(table)

    def problem(self, what: str) -> None:
        """Say why the story could not go on."""
        self._console.print(Text(f"\n{what}", style="bold red"))

    def logs(self, tails: Mapping[str, str]) -> None:
        """Show the last lines of the programs' logs."""
        for name, tail in tails.items():
            self._console.print(Text(f"\nLast lines of the {name}'s log:", style="bold"))
            self._console.print(Text(tail), soft_wrap=True)

    def addresses(self, addresses: Addresses) -> None:
        """Say where the page and the metrics are."""
        self._console.print(f"\nThe page               {addresses.page}")
        self._console.print(f"Metrics of the worker  {addresses.worker_metrics}")
        self._console.print(f"Metrics of the sink    {addresses.sink_metrics}")

    def look_around(self, configuration: Path, addresses: Addresses) -> None:
        """Say what can be tried while everything is up."""
        folder, instep = configuration.parent, _instep()
        lines = (
            f"\nEverything is still up. In a browser, {addresses.page} : one entry is left under Setup errors.",
            "Discard it there with a reason, and the list is empty. Or look around in another terminal:",
            f"  export INSTEP_CONFIG={configuration}",
            f"  {instep} errors list",
            f"  {instep} errors list --state resolved",
            f"  {instep} errors show ID",
            f'  {instep} errors discard ID --reason "not ours"',
            f"The two apps are {folder}/erp.db and crm.db; the logs are beside them.",
            "Ctrl-C stops everything and removes the folder.",
        )
        self._console.print("\n".join(lines), soft_wrap=True, markup=False)

    def stopping(self) -> None:
        """Say that the end takes a moment."""
        self._console.print("\nStopping …")


def _instep() -> str:
    """Return how a person calls Instep from the folder where the demo was started."""
    script = Path(sys.executable).parent / "instep"
    return os.path.relpath(script) if script.is_relative_to(Path.cwd()) else str(script)
