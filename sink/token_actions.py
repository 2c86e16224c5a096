"""What a person can have done to tokens, the same from every surface; each action is written to the audit log."""

import secrets
from dataclasses import dataclass, replace
from datetime import timedelta

from sink.actions import Actor, now_us
from sink.roles import Role
from sink.store import audit, tokens
from sink.store.audit import DONE, REFUSED, Deed
from sink.store.store import Store
from sink.store.tokens import Token

PREFIX = "instep_"
"""How every secret begins, so that scanners of code and logs know one when they see it."""
SECRET_BYTES = 32
LONGEST_NAME = 100
LOCAL = "local"
"""The name of whoever comes from this machine while there is no token."""

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that was made just now; `secret` is shown once and stored nowhere."""

    token: Token
    secret: str


@dataclass(frozen=True, slots=True)
class TokenRefused:
    """Why a token was not made or not revoked, in words."""

    reason: str


def create_token(
    store: Store, name: str, role: Role, expires: timedelta | None, actor: Actor
) -> NewToken | TokenRefused:
    """Make a token; `expires` counts from now, None: never. Refuses a name that another token in force has."""
    if reason := _name_fault(name):
        return TokenRefused(reason)
    at_us = now_us()
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    expires_us = None if expires is None else at_us + expires // _MICROSECOND
    new = Token(secrets.token_hex(6), name, role, at_us, actor.name, expires_us, None, None)
    with store.writing() as connection:
        if any(each.revoked_us is None for each in tokens.named(connection, name)):
            deed = Deed(actor.name, actor.via, "create token", name, 0, REFUSED)
            audit.record(connection, deed, at_us)
            return TokenRefused(f'there is a token "{name}" already: choose another name, or revoke it first')
        tokens.insert_token(connection, new, tokens.hash_secret(secret))
        audit.record(connection, Deed(actor.name, actor.via, "create token", name, 1, DONE), at_us)
    return NewToken(new, secret)


def revoke_token(store: Store, name_or_id: str, actor: Actor) -> Token | TokenRefused:
    """Revoke a token, which ends its sessions too."""
    at_us = now_us()
    with store.writing() as connection:
        found = tokens.named(connection, name_or_id)
        standing = [each for each in found if each.revoked_us is None]
        revoked = [each for each in standing if tokens.revoke(connection, each.id, at_us)]
        outcome = DONE if revoked else REFUSED
        deed = Deed(actor.name, actor.via, "revoke token", name_or_id[:LONGEST_NAME], len(revoked), outcome)
        audit.record(connection, deed, at_us)
    if revoked:
        return replace(revoked[0], revoked_us=at_us)
    return TokenRefused(
        f'the token "{name_or_id}" is revoked already' if found else f'there is no token "{name_or_id}"'
    )


def _name_fault(name: str) -> str | None:
    if not name.strip() or len(name) > LONGEST_NAME or not name.isprintable():
        return f"a token's name must have 1 to {LONGEST_NAME} characters that can be printed"
    if name == LOCAL:
        return (
            f'"{LOCAL}" is what the audit log calls whoever acts while there is no token: choose another name'
        )
    return None
