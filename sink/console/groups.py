"""`errors groups`, `mute` and `unmute`."""

from typing import Any

import typer
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from sink.actions import now_us
from sink.console import shown
from sink.console.inert import inert
from sink.desk.groups import GroupDesk, GroupSelection
from sink.group_actions import GroupRefused
from sink.groups import GroupState
from sink.moment import to_text
from sink.store.groups import Group

_STYLES = {
    GroupState.OPEN: "red",
    GroupState.REGRESSED: "magenta",
    GroupState.MUTED: "dim",
    GroupState.RESOLVED: "green",
}
_BARS = " ▁▂▃▄▅▆▇█"
# a narrower terminal has no room for the picture of the day beside the words
_WIDE = 110


def list_groups(
    desk: GroupDesk, selection: GroupSelection, *, limit: int, after: str | None, as_json: bool
) -> int:
    """Print a page of groups, those with the most entries first, and where the next one begins."""
    page = desk.list_groups(selection, limit=limit, after=after)
    if as_json:
        for group in page.groups:
            typer.echo(shown.line(group_json(group)))
    elif page.groups:
        _print_table(page.groups, now_us())
    else:
        nothing = "Nothing is wrong: no group is open."
        typer.echo(nothing if selection == GroupSelection() else "No group matches.")
    if page.after is not None:
        typer.echo(f"There are more: add --after {page.after}", err=True)
    return 0


def mute(desk: GroupDesk, typed_id: str, *, span: str | None, up_to: int | None, as_json: bool) -> int:
    """Mute a group; 1 when that is refused."""
    return _report(typed_id, desk.mute(typed_id, span=span, up_to=up_to), as_json=as_json)


def unmute(desk: GroupDesk, typed_id: str, *, as_json: bool) -> int:
    """End a mute; 1 when that is refused."""
    return _report(typed_id, desk.unmute(typed_id), as_json=as_json)


def group_json(group: Group) -> dict[str, Any]:
    """Return a group in the form of `--json`; times in ISO 8601, UTC."""
    return {
        "id": group.id,
        "state": str(group.state),
        "mapping": group.mapping,
        "direction": group.direction,
        "category": group.category,
        "code": group.code,
        "message": group.message,
        "relevant": group.relevant,
        "states": {str(state): number for state, number in group.states.items()},
        "first_seen_at": to_text(group.first_seen_us),
        "last_seen_at": to_text(group.last_seen_us),
        "resolved_at": to_text(group.resolved_us),
        "regressed_at": to_text(group.regressed_us),
        "muted_until": to_text(group.muted_until_us),
        "muted_up_to": group.muted_up_to,
        "muted_by": group.muted_by,
        "failed_by_hour": list(group.hours),
    }


def _report(typed_id: str, done: Group | GroupRefused, *, as_json: bool) -> int:
    if isinstance(done, GroupRefused):
        typer.echo(f"{inert(typed_id)}: refused: {done.reason}", err=True)
        return 1
    if as_json:
        typer.echo(shown.line(group_json(done)))
    else:
        typer.echo(f"{done.id} is {done.state}{_ends(done, now_us())}.")
    return 0


def _ends(group: Group, moment: int) -> str:
    if group.state is not GroupState.MUTED:
        return ""
    ends = []
    if group.muted_until_us is not None:
        ends.append(f"until {shown.moment(group.muted_until_us, moment)}")
    if group.muted_up_to is not None:
        ends.append(f"until it has more than {group.muted_up_to} entries")
    return f" {' or '.join(ends)}" if ends else ""


def _print_table(groups: list[Group], moment: int) -> None:
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    wide = console.width >= _WIDE
    for title in ("group", "state", "entries", "what is wrong", *(["last 24 h"] if wide else []), "last"):
        justify: JustifyMethod = "right" if title == "entries" else "left"
        table.add_column(title, overflow="fold", no_wrap=title in ("group", "last 24 h"), justify=justify)
    for group in groups:
        what = Text.assemble(
            inert(f"{group.mapping} "), (inert(group.code), "bold"), f": {inert(group.message)}"
        )
        table.add_row(
            group.id[: shown.SHORT_ID],
            Text(f"{group.state}{_ends(group, moment)}", style=_STYLES[group.state]),
            f"{group.relevant}",
            what,
            *([_picture(group.hours)] if wide else []),
            shown.ago(group.last_seen_us, moment),
        )
    console.print(table)
    if len(groups) == 1:
        console.print(f"\nIts entries: instep errors list --group {groups[0].id}", style="dim")


def _picture(hours: tuple[int, ...]) -> str:
    most = max(hours, default=0)
    steps = len(_BARS) - 1
    return "".join(_BARS[-(-number * steps // most)] if most else _BARS[0] for number in hours)
