"""`token create`, `list` and `revoke`."""

import json
from dataclasses import dataclass
from datetime import timedelta

import typer
from rich.console import Console
from rich.table import Table

from sink.actions import Actor, now_us
from sink.console.inert import inert
from sink.moment import to_text
from sink.roles import Role
from sink.store import tokens
from sink.store.store import Store
from sink.store.tokens import Token
from sink.token_actions import TokenRefused, create_token, revoke_token

_VIA = "cli"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A token to make; with `only_first` nothing is made where there is any."""

    name: str
    role: str
    lifetime: timedelta | None
    only_first: bool


def create(store: Store, wanted: Wanted, user: str, *, as_json: bool) -> int:
    """Make a token: its secret goes to the standard output, what else is to be said to stderr; 1 when it is refused."""
    if wanted.only_first and _any(store):
        typer.echo("There is a token already; nothing was changed.", err=True)
        return 0
    made = create_token(store, wanted.name, Role(wanted.role), wanted.lifetime, Actor(user, _VIA))
    if isinstance(made, TokenRefused):
        typer.echo(f"{made.reason}.", err=True)
        return 1
    if as_json:
        typer.echo(json.dumps({**_as_json(made.token, now_us()), "secret": made.secret}))
        return 0
    until = to_text(made.token.expires_us)
    typer.echo(
        f"Token {made.token.name} ({made.token.role}), {f'until {until}' if until else 'for good'}. "
        "This is its secret; it cannot be shown again:",
        err=True,
    )
    typer.echo(made.secret)
    return 0


def list_tokens(store: Store, *, as_json: bool) -> int:
    """Print all tokens, the newest first."""
    with store.reading() as connection:
        found = tokens.read_tokens(connection)
    at_us = now_us()
    if as_json:
        for each in found:
            typer.echo(json.dumps(_as_json(each, at_us)))
        return 0
    if not found:
        typer.echo(
            "There is no token: only the machine of the sink itself is served. See `instep token create`."
        )
        return 0
    table = Table("name", "id", "role", "state", "created", "by", "expires", "last used", box=None)
    for each in found:
        times = (to_text(each.created_us), each.created_by, to_text(each.expires_us), to_text(each.used_us))
        row = (each.name, each.id, each.role, each.state(at_us), *(text or "-" for text in times))
        table.add_row(*(inert(str(cell)) for cell in row))
    Console(markup=False).print(table)
    return 0


def revoke(store: Store, name_or_id: str, user: str) -> int:
    """Revoke a token; 1 when there is none to revoke."""
    revoked = revoke_token(store, name_or_id, Actor(user, _VIA))
    if isinstance(revoked, TokenRefused):
        typer.echo(f"{inert(revoked.reason)}.", err=True)
        return 1
    typer.echo(f"Token {inert(revoked.name)} ({revoked.role}) opens nothing any more.")
    return 0


def _any(store: Store) -> bool:
    with store.reading() as connection:
        return tokens.any_token(connection)


def _as_json(each: Token, at_us: int) -> dict[str, str | None]:
    return {
        "id": each.id,
        "name": each.name,
        "role": str(each.role),
        "state": str(each.state(at_us)),
        "created_at": to_text(each.created_us),
        "created_by": each.created_by,
        "expires_at": to_text(each.expires_us),
        "revoked_at": to_text(each.revoked_us),
        "used_at": to_text(each.used_us),
    }
