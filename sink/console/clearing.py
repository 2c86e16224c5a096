"""`errors clear`, `restore`, `quarantine` and `reimport`."""

import typer

from sink.actions import now_us
from sink.archive import ArchiveError
from sink.console import shown
from sink.console.acting import Manner, summary
from sink.console.inert import inert
from sink.desk.desk import ClearPlan, Desk, Unreadable
from sink.desk.selection import Selection
from sink.states import RELEVANT


def clear(
    desk: Desk, selection: Selection, archive: str | None, manner: Manner, *, include_open: bool
) -> int:
    """Say what would go, ask, archive it, delete it; 1 when it was not confirmed, not archived, or none of it went."""
    plan = desk.plan_clear(selection, archive, include_open=include_open)
    _print_plan(plan, now_us(), dry_run=manner.dry_run)
    if manner.dry_run or not plan.tallies:
        return 0
    relevant = any(tally.state in RELEVANT for tally in plan.tallies)
    question = "Some of them are STILL RELEVANT. Delete them all the same?" if relevant else "Delete them?"
    if not manner.ask(question):
        typer.echo("Nothing was changed.", err=True)
        return 1
    try:
        cleared = desk.clear(selection, plan.archive, include_open=include_open, newest_us=plan.newest_us)
    except ArchiveError as error:
        typer.echo(str(error), err=True)
        return 1
    if cleared.archive is None:
        typer.echo("Nothing was deleted.")
    else:
        typer.echo(f"{cleared.deleted} deleted, and kept in {cleared.archive}.")
        typer.echo(f"Bring them back with: instep errors restore {cleared.archive}")
    if cleared.changed:
        typer.echo(f"{cleared.changed} changed meanwhile and were left alone.")
    if cleared.unsent:
        typer.echo(f"{cleared.unsent} left alone: the worker has not been told yet. Does `instep sink` run?")
    return 0 if cleared.deleted else 1


def restore(desk: Desk, archive: str, *, dry_run: bool) -> int:
    """Bring the entries of an archive back; 1 when the file is not whole."""
    try:
        if dry_run:
            entries = desk.check_archive(archive)
            typer.echo(f"{archive} is whole and holds {entries} entries; nothing was changed.")
            return 0
        restored = desk.restore(archive)
    except ArchiveError as error:
        typer.echo(str(error), err=True)
        return 1
    typer.echo(f"{restored.restored} restored.")
    if restored.existing:
        typer.echo(f"{restored.existing} stand in the list already and were left alone.")
    return 0


def list_quarantine(desk: Desk, *, as_json: bool) -> int:
    """Print the messages that could not be read."""
    number = 0
    for message in desk.quarantine():
        _print_unreadable(message, as_json=as_json)
        number += 1
    if not number and not as_json:
        typer.echo("Nothing is in quarantine.")
    return 0


def reimport_all(desk: Desk) -> int:
    """Read the messages in quarantine again; 1 when some still cannot be read."""
    done = desk.reimport()
    typer.echo(f"{done.imported} imported, {done.kept} still cannot be read.")
    return 1 if done.kept else 0


def _print_plan(plan: ClearPlan, moment: int, *, dry_run: bool) -> None:
    if not plan.tallies:
        typer.echo("There is nothing to clear.")
        return
    relevant = [tally for tally in plan.tallies if tally.state in RELEVANT]
    closed = [tally for tally in plan.tallies if tally.state not in RELEVANT]
    verb = "Would be" if dry_run else "To be"
    for what, part in (("STILL RELEVANT", relevant), ("closed", closed)):
        if part:
            typer.echo(f"{verb} archived to {plan.archive} and deleted, {what}:")
            typer.echo("\n".join(summary(part, moment)))


def _print_unreadable(message: Unreadable, *, as_json: bool) -> None:
    if as_json:
        values = {
            "topic": message.topic,
            "partition": message.partition,
            "offset": message.offset,
            "reason": message.reason,
            "newer": message.newer,
            "bytes": message.bytes,
        }
        typer.echo(shown.line(values))
    else:
        place = f"{message.topic}, partition {message.partition}, offset {message.offset}"
        typer.echo(f"{place}: {inert(message.reason)} ({message.bytes} bytes)")
