"""`errors replay`, `resolve` and `discard`."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import typer

from sink.actions import Wish, now_us
from sink.console import shown
from sink.console.inert import inert
from sink.console.progress import progress_bar
from sink.console.starting import Start, start_job
from sink.desk.desk import Chosen, Desk
from sink.desk.jobs import JobWish
from sink.desk.selection import Selection, WrongUse
from sink.moment import to_text
from sink.states import Action, Refusal, Verdict, refusal
from sink.store.entries import Tally
from sink.store.transitions import Moved, Refused, Step

_LOOK_AGAIN_S = 0.3
_SHOWN_AT_MOST = 20
# more entries than this are replayed by a job
MANY = 1000
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
    """How long to wait for the workers' answers, and how long for any progress of a job.

    A job may rest for as long as the sink waits for its first entries, and has to be given time to say so.
    """

    seconds: float
    quiet_s: float


def replay(
    desk: Desk, selection: Selection, manner: Manner, wait: Wait | None, wish: JobWish | None = None
) -> int:
    """Ask for replays and, with `wait`, tell what the workers answered; 1 when one was refused or did not resolve.

    Many entries, those of a group, and what is to be done as `wish` says, are a job.
    """
    chosen = _chosen(desk, selection, Action.REPLAY)
    if manner.dry_run:
        return _preview(chosen, Action.REPLAY, manner)
    if wish is not None or selection.groups or len(chosen.ids) > MANY:
        patience_s = None if wait is None else wait.quiet_s
        how = Start(manner.ask, manner.as_json, patience_s)
        return start_job(desk, selection, chosen.ids, wish or JobWish(), how)
    steps = _act(desk, chosen, Wish(Action.REPLAY, named=bool(selection.ids)), "asking")
    moved = {step.replay_id: step.entry_id for step in steps if isinstance(step, Moved) and step.replay_id}
    refused = [step for step in steps if isinstance(step, Refused)]
    if wait is None or not moved:
        return _report(Action.REPLAY, steps, manner)
    verdicts = _wait_for(desk, list(moved), wait)
    return _report_verdicts(desk, moved, verdicts, refused, manner)


def close(desk: Desk, selection: Selection, action: Action, reason: str | None, manner: Manner) -> int:
    """Resolve or discard entries after asking; 1 when one was refused."""
    chosen = _chosen(desk, selection, action)
    if manner.dry_run:
        return _preview(chosen, action, manner)
    verb, _ = _VERBS[action]
    if chosen.ids and not manner.ask(f"{verb.capitalize()} {_entries(len(chosen.ids))}?"):
        typer.echo("Nothing was changed.", err=True)
        return 1
    return _report(action, _act(desk, chosen, Wish(action, reason), verb), manner)


def summary(tallies: Sequence[Tally], moment: int) -> list[str]:
    """Return how many entries there are by state and category, and how fresh they are, a line each."""
    return [
        f"  {tally.entries:>8} {tally.state:<12} {inert(tally.category):<10} last failed {shown.ago(tally.last_failed_us, moment)}"
        for tally in tallies
    ]


def _chosen(desk: Desk, selection: Selection, action: Action) -> Chosen:
    if selection.is_empty:
        verb, _ = _VERBS[action]
        raise WrongUse(
            f"name the entries to {verb} by id, or select them (--mapping, --code, …); --state open selects all that are open"
        )
    return desk.choose(selection)


def _act(desk: Desk, chosen: Chosen, wish: Wish, doing: str) -> list[Step]:
    with progress_bar() as progress:
        task = progress.add_task(doing, total=len(chosen.ids))
        return desk.act(chosen.ids, wish, lambda done: progress.advance(task, done))


def _preview(chosen: Chosen, action: Action, manner: Manner) -> int:
    verb, _ = _VERBS[action]
    allowed = [tally for tally in chosen.tallies if refusal(action, tally.state) is None]
    if manner.as_json:
        for tally in allowed:
            values = {"would": verb, "state": str(tally.state), "category": tally.category}
            last = to_text(tally.last_failed_us)
            typer.echo(shown.line({**values, "entries": tally.entries, "last_failed_at": last}))
        return 0
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


def _wait_for(desk: Desk, replay_ids: Sequence[str], wait: Wait) -> dict[str, tuple[Verdict, str | None]]:
    verdicts: dict[str, tuple[Verdict, str | None]] = {}
    until = time.monotonic() + wait.seconds
    with progress_bar() as progress:
        task = progress.add_task("waiting for the worker", total=len(replay_ids))
        while len(verdicts) < len(replay_ids) and time.monotonic() < until:
            verdicts |= desk.verdicts([each for each in replay_ids if each not in verdicts])
            progress.update(task, completed=len(verdicts))
            if len(verdicts) < len(replay_ids):
                time.sleep(_LOOK_AGAIN_S)
    return verdicts


def _report_verdicts(
    desk: Desk,
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
        _print_verdicts(desk, moved, verdicts, silent)
        _print_refused(refused)
    return 0 if good == len(moved) and not refused else 1


def _print_verdicts(
    desk: Desk, moved: dict[str, str], verdicts: dict[str, tuple[Verdict, str | None]], silent: int
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
        page = desk.list_entries(Selection(ids=failed[:_SHOWN_AT_MOST]), limit=_SHOWN_AT_MOST, after=None)
        for entry in page.entries:
            typer.echo(f"  {entry.id}: {inert(entry.message)}")
        if len(failed) > _SHOWN_AT_MOST:
            typer.echo(f"  … and {len(failed) - _SHOWN_AT_MOST} more")


def _entries(number: int) -> str:
    return f"{number} {'entry' if number == 1 else 'entries'}"
