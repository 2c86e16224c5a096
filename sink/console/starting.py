"""`errors replay` where it makes a job: of many entries, at a rate, or with corrected values."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import orjson
import typer

from sink.console.inert import inert
from sink.console.jobs import Follow, entries, follow, refused, started
from sink.desk.desk import Desk, EntryDetail
from sink.desk.jobs import JobWish
from sink.desk.selection import Selection, WrongUse
from sink.job_actions import JobRefused
from sink.jobs import CORRECTED_AT_MOST


@dataclass(frozen=True, slots=True)
class Start:
    """How a command goes about it: ask first where values are corrected, print JSON Lines, and follow the job.

    `patience_s` is after how long without any progress it gives up following; None: do not follow.
    """

    ask: Callable[[str], bool]
    as_json: bool
    patience_s: float | None


def start_job(desk: Desk, selection: Selection, ids: Sequence[str], wish: JobWish, how: Start) -> int:
    """Start a job and, if wished, follow it; 1 when it was refused or not everything was resolved."""
    if wish.corrections:
        if len(ids) > CORRECTED_AT_MOST:
            raise WrongUse(
                f"--set is for {CORRECTED_AT_MOST} entries at most; these are {len(ids)}. Name them by id"
            )
        for line in _differences(desk, ids, wish.corrections):
            typer.echo(line, err=how.as_json)
        if not how.ask(f"Replay {entries(len(ids))} with these values?"):
            typer.echo("Nothing was changed.", err=True)
            return 1
    answer = desk.jobs.start(selection, ids, wish)
    if isinstance(answer, JobRefused):
        return refused(answer)
    if how.patience_s is None:
        return started(answer, as_json=how.as_json)
    return follow(desk.jobs, answer, Follow(how.patience_s, how.as_json))


def corrections(assigned: Sequence[str], nulls: Sequence[str]) -> dict[str, str] | None:
    """Return what --set FIELD=VALUE and --set-null FIELD say, as JSON texts by target field; raises WrongUse."""
    found: dict[str, str] = {}
    for each in assigned:
        field, equals, value = each.partition("=")
        if not equals or not field:
            raise WrongUse("--set takes FIELD=VALUE: a field of the target, and what to write to it")
        try:
            found[field] = orjson.dumps(value).decode()
        except orjson.JSONEncodeError:
            raise WrongUse(f"--set {inert(field)}: the value is no UTF-8 text") from None
    found |= dict.fromkeys(nulls, "null")
    if len(found) < len(assigned) + len(nulls):
        raise WrongUse("--set and --set-null name a field twice")
    return found or None


def _differences(desk: Desk, ids: Sequence[str], values: Mapping[str, str]) -> Iterator[str]:
    for entry_id in ids:
        detail = desk.show_entry(entry_id, with_message=True)
        if detail is None:
            continue
        before = _row(detail)
        yield f"{entry_id}  {inert(detail.entry.mapping)} {inert(detail.entry.record_id)}"
        for field, text in values.items():
            old = inert(before[field]) if field in before else "(what the mapping makes of the change)"
            yield f"  {inert(field)}: {old} → {inert(text)}"


def _row(detail: EntryDetail) -> dict[str, str]:
    """Return the fields of the change as JSON texts, none where the message is of a form that is not read here."""
    text = None if detail.message is None else detail.message.value
    try:
        content = orjson.loads(text or "")
    except orjson.JSONDecodeError:
        return {}
    if isinstance(content, dict) and isinstance(content.get("payload"), dict):
        content = content["payload"]
    row = content.get("after") if isinstance(content, dict) else None
    return (
        {str(name): orjson.dumps(value).decode() for name, value in row.items()}
        if isinstance(row, dict)
        else {}
    )
