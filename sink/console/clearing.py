"""`errors clear`, `restore`, `quarantine` and `reimport`."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import typer

from schemas.codec import Codec
from sink import actions
from sink.actions import Actor, clearable, now_us
from sink.archive import ArchiveError, open_archive
from sink.console import shown
from sink.console.acting import Manner, summary
from sink.console.inert import inert
from sink.desk.selection import Selection, over_before, to_filter
from sink.reimport import reimport
from sink.states import RELEVANT
from sink.store.entries import Filter, Tally, count_entries
from sink.store.quarantine import Place, Quarantined, read_quarantine
from sink.store.store import Store

_PAGE = 500


def clear(
    store: Store, selection: Selection, archive: Path, actor: Actor, manner: Manner, *, include_open: bool
) -> int:
    """Say what would go, ask, archive it, delete it; 1 when it was not confirmed or not archived."""
    moment = now_us()
    wanted = _clearable(selection, moment, include_open=include_open)
    with store.reading() as connection:
        tallies = count_entries(connection, wanted) if wanted.states else []
    _print_plan(tallies, moment, archive, dry_run=manner.dry_run)
    if manner.dry_run or not tallies:
        return 0
    relevant = any(tally.state in RELEVANT for tally in tallies)
    question = "Some of them are STILL RELEVANT. Delete them all the same?" if relevant else "Delete them?"
    if not manner.ask(question):
        typer.echo("Nothing was changed.", err=True)
        return 1
    try:
        cleared = actions.clear(store, wanted, archive, actor)
    except ArchiveError as error:
        typer.echo(str(error), err=True)
        return 1
    if cleared.archive is not None:
        typer.echo(f"{cleared.deleted} deleted, and kept in {archive}.")
        typer.echo(f"Bring them back with: instep errors restore {archive}")
    if cleared.changed:
        typer.echo(f"{cleared.changed} changed meanwhile and were left alone.")
    return 0


def restore(store: Store, file: Path, actor: Actor, *, dry_run: bool) -> int:
    """Bring the entries of an archive back; 1 when the file is not whole."""
    try:
        if dry_run:
            archive = open_archive(file)
            typer.echo(f"{file} is whole and holds {archive.entries} entries; nothing was changed.")
            return 0
        restored = actions.restore(store, file, actor)
    except ArchiveError as error:
        typer.echo(str(error), err=True)
        return 1
    typer.echo(f"{restored.restored} restored.")
    if restored.existing:
        typer.echo(f"{restored.existing} stand in the list already and were left alone.")
    return 0


def list_quarantine(store: Store, *, as_json: bool) -> int:
    """Print the messages that could not be read."""
    last: Place | None = None
    number = 0
    while True:
        with store.reading() as connection:
            page = read_quarantine(connection, after=last, limit=_PAGE)
        for message in page:
            _print_quarantined(message, as_json=as_json)
        number += len(page)
        if len(page) < _PAGE:
            break
        last = page[-1].place
    if not number and not as_json:
        typer.echo("Nothing is in quarantine.")
    return 0


def reimport_all(store: Store, codec: Codec) -> int:
    """Read the messages in quarantine again; 1 when some still cannot be read."""
    done = reimport(store, codec, now_us())
    typer.echo(f"{done.imported} imported, {done.kept} still cannot be read.")
    return 1 if done.kept else 0


def default_archive(folder: str | None) -> Path:
    """Return a new name for an archive in a folder."""
    return Path(folder or ".") / f"instep-errors-{shown.stamp(datetime.now(UTC))}.avro"


def _clearable(selection: Selection, moment: int, *, include_open: bool) -> Filter:
    wanted = to_filter(selection, moment, closed_too=True)
    # for what is closed, age counts from its closing
    aged = replace(wanted, failed_before_us=None, over_before_us=over_before(selection.older_than, moment))
    return clearable(aged, include_open=include_open)


def _print_plan(tallies: list[Tally], moment: int, archive: Path, *, dry_run: bool) -> None:
    if not tallies:
        typer.echo("There is nothing to clear.")
        return
    relevant = [tally for tally in tallies if tally.state in RELEVANT]
    closed = [tally for tally in tallies if tally.state not in RELEVANT]
    verb = "Would be" if dry_run else "To be"
    for what, part in (("STILL RELEVANT", relevant), ("closed", closed)):
        if part:
            typer.echo(f"{verb} archived to {archive} and deleted, {what}:")
            typer.echo("\n".join(summary(part, moment)))


def _print_quarantined(message: Quarantined, *, as_json: bool) -> None:
    if as_json:
        values = {
            "topic": message.topic,
            "partition": message.partition,
            "offset": message.offset,
            "reason": message.reason,
            "newer": message.newer,
            "bytes": len(message.value or b""),
        }
        typer.echo(shown.line(values))
    else:
        place = f"{message.topic}, partition {message.partition}, offset {message.offset}"
        typer.echo(f"{place}: {inert(message.reason)} ({len(message.value or b'')} bytes)")
