"""`errors list`, `show` and `export`."""

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.catalogue import Code, Fixer, catalogue
from sink.actions import now_us
from sink.console import shown
from sink.console.inert import inert, inert_cell
from sink.desk.desk import Desk, EntryDetail, Message
from sink.desk.selection import Selection, WrongUse
from sink.states import State
from sink.store.entries import Entry

_STYLES = {
    State.OPEN: "red",
    State.WAITING: "yellow",
    State.REPLAYING: "cyan",
    State.UNCONFIRMED: "magenta",
    State.RESOLVED: "green",
    State.DISCARDED: "dim",
}
_FIXERS = {
    Fixer.USER: "the owner of the record",
    Fixer.ADMIN: "an administrator",
    Fixer.DEVELOPER: "a developer",
    Fixer.NOBODY: "nobody: it heals itself",
}
# what a person has to type
_ENDED = {
    "replay": "by a replay",
    "superseded": "by a newer change of the record",
    "released": "by itself, when tried again",
    "hand": "by hand",
}
_MEANINGS = {
    State.OPEN: "somebody has to look at it",
    State.WAITING: "it is tried again by itself",
    State.REPLAYING: "sent to a worker, whose answer is awaited",
    State.UNCONFIRMED: "sent to a worker, which did not answer in time",
    State.RESOLVED: "over",
    State.DISCARDED: "given up",
}


def list_entries(desk: Desk, selection: Selection, *, limit: int, after: str | None, as_json: bool) -> int:
    """Print a page of entries, the last failed first, and where the next one begins."""
    page = desk.list_entries(selection, limit=limit, after=after)
    if as_json:
        for entry in page.entries:
            typer.echo(shown.line(shown.as_json(entry)))
    else:
        _print_table(page.entries, selection, now_us())
    if page.after is not None:
        note = f"There are more: add --after {page.after}"
        typer.echo(note, err=True)
    return 0


def show_entry(desk: Desk, typed_id: str, *, with_message: bool, as_json: bool) -> int:
    """Print all that is known of one entry; 1 when there is none."""
    detail = desk.show_entry(typed_id, with_message=with_message)
    if detail is None:
        typer.echo(f"There is no entry {inert(typed_id)}.", err=True)
        return 1
    entry = detail.entry
    if as_json:
        values = {
            **shown.as_json(entry),
            "attempts": [attempt._asdict() for attempt in entry.attempts],
            "replays": [shown.replay_json(replay) for replay in detail.replays],
            "exception_type": entry.exception_type,
            "top_frame": entry.top_frame,
            "trace": entry.trace,
        }
        typer.echo(shown.line(values | (_message_json(detail.message) if with_message else {})))
        return 0
    moment = now_us()
    console = Console(highlight=False, soft_wrap=True)
    _print_head(console, entry)
    _print_facts(console, entry, moment)
    _print_advice(console, catalogue().get(entry.code))
    _print_past(console, entry, moment)
    for replay in detail.replays:
        answer = replay.verdict or ("sent, no answer yet" if replay.sent_us else "not sent yet")
        why = f" ({inert(replay.code)})" if replay.code else ""
        asked = f"{shown.moment(replay.requested_us, moment)}  by {inert(replay.actor)}: {answer.replace('_', ' ')}{why}"
        console.print(Text(f"  {replay.decision}  {asked}"))
    _print_message(console, detail)
    return 0


def export_entries(desk: Desk, selection: Selection, target: Path | None, form: str) -> int:
    """Write all entries that are selected, as JSON Lines or CSV, to a file or to the standard output."""
    number = 0
    with _output(target) as output:
        writer = csv.writer(output)
        if form == "csv":
            writer.writerow(shown.COLUMNS)
        for entry in desk.all_entries(selection):
            values = shown.as_json(entry)
            if form == "csv":
                writer.writerow([_cell(values[column]) for column in shown.COLUMNS])
            else:
                output.write(shown.line(values) + "\n")
            number += 1
    what = f"{number} {'entry' if number == 1 else 'entries'}"
    typer.echo(f"{what} written{f' to {target}' if target else ''}.", err=True)
    return 0


@contextmanager
def _output(target: Path | None) -> Iterator[TextIO]:
    if target is None:
        yield sys.stdout
        return
    try:
        with target.open("w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        raise WrongUse(f"{target} cannot be written: {error.strerror}") from None


def _print_table(entries: list[Entry], selection: Selection, moment: int) -> None:
    console = Console(highlight=False)
    if not entries:
        nothing = "Nothing is wrong: no entry is open." if selection.is_empty else "No entry matches."
        console.print(nothing)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("id", "state", "record", "what is wrong", "failed"):
        table.add_column(title, overflow="fold", no_wrap=title == "id")
    for entry in entries:
        state = entry.state if entry.resolved_by is None else f"{entry.state} ({entry.resolved_by})"
        table.add_row(
            entry.id[: shown.SHORT_ID],
            Text(state, style=_STYLES[entry.state]),
            Text(inert(f"{entry.mapping} {entry.record_id}")),
            Text.assemble((inert(entry.code), "bold"), f": {inert(entry.message)}"),
            f"{entry.count} x, {shown.ago(entry.last_failed_us, moment)}",
        )
    console.print(table)
    if not selection.states and len(entries) == 1:
        console.print(f"\nWhat to do: instep errors show {entries[0].id[: shown.SHORT_ID]}", style="dim")


def _print_head(console: Console, entry: Entry) -> None:
    state = Text(f"{entry.state}", style=_STYLES[entry.state])
    if entry.resolved_by is not None:
        state.append(f" {_ENDED.get(entry.resolved_by, entry.resolved_by)}")
    console.print(Text.assemble((entry.id, "bold"), "  ", state, f": {_MEANINGS[entry.state]}"))
    console.print(Text(f"\n{inert(entry.message)}\n", style="bold"))


def _print_facts(console: Console, entry: Entry, moment: int) -> None:
    position = entry.position
    where = (
        None
        if position is None
        else f"{position.topic}, partition {position.partition}, offset {position.offset}"
    )
    waits_for = None if entry.waits_for is None else shown.reference(entry.waits_for)
    facts = {
        "mapping": f"{entry.mapping} ({entry.direction})",
        "source": shown.reference(entry.source),
        "source link": entry.source.link,
        "target": shown.reference(entry.target),
        "target link": entry.target.link,
        "code": f"{entry.code} ({entry.category})",
        "failed": f"{entry.count} times" if entry.count > 1 else "once",
        "first": shown.moment(entry.first_failed_us, moment),
        "last": shown.moment(entry.last_failed_us, moment),
        "tried again": shown.moment(entry.retry_at_us, moment) if entry.state is State.WAITING else None,
        "waits for": waits_for,
        "closed": shown.moment(entry.closed_us, moment) or None,
        "closed by": entry.closed_by,
        "reason": entry.reason,
        "change": where,
        "worker": f"{entry.worker}, version {entry.worker_version}",
        "exception": " in ".join(part for part in (entry.exception_type, entry.top_frame) if part) or None,
    }
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        if value is not None:
            table.add_row(Text(name, style="dim"), Text(inert(value)))
    console.print(table)


def _print_advice(console: Console, code: Code | None) -> None:
    if code is None:
        return
    console.print(Text(f"\n{code.title}. {code.cause}"))
    console.print(f"Fixed by {_FIXERS[code.fixer]}.")
    for number, step in enumerate(code.steps, 1):
        console.print(Text(f"  {number}. {step}"))


def _print_past(console: Console, entry: Entry, moment: int) -> None:
    console.print("\nLast failures", style="bold")
    for attempt in reversed(entry.attempts):
        console.print(Text(f"  {shown.moment(attempt.at_ms * 1000, moment)}  {inert(attempt.code or '')}"))


def _print_message(console: Console, detail: EntryDetail) -> None:
    message = detail.message
    if detail.message_bytes is None:
        console.print("\nThe message of the change is not kept here; a replay reads it again from its topic.")
    elif message is None:
        console.print(
            f"\nThe message of the change ({detail.message_bytes} bytes) is kept; --message shows it."
        )
    else:
        console.print("\nMessage", style="bold")
        for part, value in (("key", message.key), ("value", message.value)):
            console.print(Text(f"  {part}: {'none' if value is None else inert(value)}"))


def _message_json(message: Message | None) -> dict[str, object]:
    return {"original": None if message is None else {"key": message.key, "value": message.value}}


def _cell(value: object) -> object:
    if value is None:
        return ""
    return (
        inert_cell(value if isinstance(value, str) else json.dumps(value))
        if not isinstance(value, int)
        else value
    )
