"""`errors replay`, `resolve` and `discard`."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sink import actions
from sink.actions import Actor, now_us
from sink.console import shown
from sink.console.inert import inert
from sink.desk.selection import Selection, WrongUse, selected_ids
from sink.states import Action, Refusal, Verdict, refusal
from sink.store.entries import Filter, Tally, count_entries, read_page
from sink.store.replays import read_verdicts
from sink.store.store import Store
from sink.store.transitions import Moved, Refused, Step

_LOOK_AGAIN_S = 0.3
_SHOWN_AT_MOST = 20
_GOOD = frozenset({Verdict.RESOLVED, Verdict.SUPERSEDED})
_VERBS = {
    Action.REPLAY: ("replay", "asked for; the running sink sends the request to the worker"),
    Action.RESOLVE: ("resolve", "resolved"),
    Action.DISCARD: ("discard", "discarded"),
}
_VERDICTS = {
    Verdict.RESOLVED: "resolved",
    Verdict.SUPERSEDED: "overtaken by a newer change of the record, which went through",
    Verdict.FAILED_AGAIN: "failed again",
    Verdict.UNCONFIRMED: "not answered in time",
    Verdict.NOT_SENT: "not sent",
    Verdict.DROPPED: "given up",
}


@dataclass(frozen=True, slots=True)
class Manner:
    """How a command goes about it: only say what it would do, ask first, print JSON Lines."""

    dry_run: bool
    ask: Callable[[str], bool]
    as_json: bool


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to wait for the workers' answers."""

    seconds: float


def replay(store: Store, selection: Selection, actor: Actor, manner: Manner, wait: Wait | None) -> int:
    """Ask for replays and, with `wait`, tell what the workers answered; 1 when one was refused or did not resolve."""
    ids = _chosen(store, selection, Action.REPLAY)
    if manner.dry_run:
        return _preview(store, ids, Action.REPLAY)
    with _progress("asking") as progress:
        task = progress.add_task("asking", total=len(ids))
        steps = actions.request_replays(store, ids, actor, lambda done: progress.advance(task, done))
    moved = {step.replay_id: step.entry_id for step in steps if isinstance(step, Moved) and step.replay_id}
    refused = [step for step in steps if isinstance(step, Refused)]
    if wait is None or not moved:
        return _report(Action.REPLAY, steps, manner)
    verdicts = _wait_for(store, list(moved), wait)
    return _report_verdicts(store, moved, verdicts, refused, manner)


def close(
    store: Store, selection: Selection, action: Action, actor: Actor, reason: str | None, manner: Manner
) -> int:
    """Resolve or discard entries after asking; 1 when one was refused."""
    ids = _chosen(store, selection, action)
    if manner.dry_run:
        return _preview(store, ids, action)
    verb, _ = _VERBS[action]
    if ids and not manner.ask(f"{verb.capitalize()} {_entries(len(ids))}?"):
        typer.echo("Nothing was changed.", err=True)
        return 1
    with _progress(verb) as progress:
        task = progress.add_task(verb, total=len(ids))
        steps = actions.close_by_hand(
            store, ids, action, actor, reason, lambda done: progress.advance(task, done)
        )
    return _report(action, steps, manner)


def summary(tallies: Sequence[Tally], moment: int) -> list[str]:
    """Return how many entries there are by state and category, and how fresh they are, a line each."""
    return [
        f"  {tally.entries:>8} {tally.state:<12} {inert(tally.category):<10} last failed {shown.ago(tally.last_failed_us, moment)}"
        for tally in tallies
    ]


def _chosen(store: Store, selection: Selection, action: Action) -> list[str]:
    if selection.is_empty:
        verb, _ = _VERBS[action]
        raise WrongUse(
            f"name the entries to {verb} by id, or select them (--mapping, --code, …); --state open selects all that are open"
        )
    with store.reading() as connection:
        return selected_ids(connection, selection, now_us())


def _preview(store: Store, ids: Sequence[str], action: Action) -> int:
    verb, _ = _VERBS[action]
    with store.reading() as connection:
        tallies = count_entries(connection, Filter(ids=tuple(ids))) if ids else []
    allowed = [tally for tally in tallies if refusal(action, tally.state) is None]
    typer.echo(f"Would {verb} {_entries(sum(tally.entries for tally in allowed))}; nothing was changed.")
    for line in summary(allowed, now_us()):
        typer.echo(line)
    return 0


def _report(action: Action, steps: Sequence[Step], manner: Manner) -> int:
    refused = [step for step in steps if isinstance(step, Refused)]
    if manner.as_json:
        for step in steps:
            values = {"id": step.entry_id, "action": str(action), "done": isinstance(step, Moved)}
            if isinstance(step, Refused):
                values |= {"refused": step.reason.name.lower(), "why": str(step.reason)}
            typer.echo(shown.line(values))
    else:
        _, done = _VERBS[action]
        typer.echo(f"{_entries(len(steps) - len(refused))} {done}.")
        _print_refused(refused)
    return 1 if refused else 0


def _print_refused(refused: Sequence[Refused]) -> None:
    for step in refused[:_SHOWN_AT_MOST]:
        typer.echo(f"{inert(step.entry_id)}: refused: {step.reason}")
    if len(refused) > _SHOWN_AT_MOST:
        why = Counter(step.reason for step in refused[_SHOWN_AT_MOST:])
        for reason, number in why.items():
            typer.echo(f"… and {number} more: {Refusal(reason)}")


def _wait_for(store: Store, replay_ids: Sequence[str], wait: Wait) -> dict[str, tuple[Verdict, str | None]]:
    verdicts: dict[str, tuple[Verdict, str | None]] = {}
    until = time.monotonic() + wait.seconds
    with _progress("waiting for the worker") as progress:
        task = progress.add_task("waiting for the worker", total=len(replay_ids))
        while len(verdicts) < len(replay_ids) and time.monotonic() < until:
            with store.reading() as connection:
                missing = [each for each in replay_ids if each not in verdicts]
                verdicts |= read_verdicts(connection, missing)
            progress.update(task, completed=len(verdicts))
            if len(verdicts) < len(replay_ids):
                time.sleep(_LOOK_AGAIN_S)
    return verdicts


def _report_verdicts(
    store: Store,
    moved: dict[str, str],
    verdicts: dict[str, tuple[Verdict, str | None]],
    refused: Sequence[Refused],
    manner: Manner,
) -> int:
    good = sum(verdict in _GOOD for verdict, _ in verdicts.values())
    silent = len(moved) - len(verdicts)
    if manner.as_json:
        for replay_id, entry_id in moved.items():
            verdict, code = verdicts.get(replay_id, (None, None))
            values = {"id": entry_id, "replay_id": replay_id, "verdict": verdict, "code": code}
            typer.echo(shown.line(values))
    else:
        _print_verdicts(store, moved, verdicts, silent)
        _print_refused(refused)
    return 0 if good == len(moved) and not refused else 1


def _print_verdicts(
    store: Store, moved: dict[str, str], verdicts: dict[str, tuple[Verdict, str | None]], silent: int
) -> None:
    counts = Counter(verdict for verdict, _ in verdicts.values())
    for verdict, number in counts.items():
        typer.echo(f"{_entries(number)} {_VERDICTS[verdict]}.")
    if silent:
        typer.echo(
            f"{_entries(silent)} not answered yet. Do `instep sink` and a worker of this group run? "
            "The answer still counts when it comes."
        )
    failed = [
        moved[replay_id] for replay_id, (verdict, _) in verdicts.items() if verdict is Verdict.FAILED_AGAIN
    ]
    if failed:
        with store.reading() as connection:
            entries = read_page(connection, Filter(ids=tuple(failed)), limit=_SHOWN_AT_MOST)
        for entry in entries:
            typer.echo(f"  {entry.id}: {inert(entry.message)}")
        if len(failed) > _SHOWN_AT_MOST:
            typer.echo(f"  … and {len(failed) - _SHOWN_AT_MOST} more")


def _entries(number: int) -> str:
    return f"{number} {'entry' if number == 1 else 'entries'}"


def _progress(_what: str) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
