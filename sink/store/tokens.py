"""Tokens, by which persons and programs are known. Their secrets are not here, only sha256 of them.

A secret has 256 random bits, so a plain hash of it cannot be guessed, and the time that looking a hash up takes tells nothing
of the secret. Rows are never deleted: a sink that once had a token never again takes strangers for its owner.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, and_, delete, insert, or_, select, update

from sink.roles import Role
from sink.store.rows import clean
from sink.store.tables import session, token

# how exact `used_us` is: not every request writes
NOTED_EVERY_US = 60_000_000


class TokenState(StrEnum):
    """Whether a token opens anything."""

    USABLE = "usable"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Token:
    """One token without its secret. `used_us` is exact to a minute; times are microseconds since 1970."""

    id: str
    name: str
    role: Role
    created_us: int
    created_by: str
    expires_us: int | None
    revoked_us: int | None
    used_us: int | None

    def state(self, now_us: int) -> TokenState:
        """Return whether the token opens anything now."""
        if self.revoked_us is not None:
            return TokenState.REVOKED
        expired = self.expires_us is not None and self.expires_us <= now_us
        return TokenState.EXPIRED if expired else TokenState.USABLE


def hash_secret(secret: str) -> str:
    """Return what is stored of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def any_token(connection: Connection) -> bool:
    """Whether there is a token, usable or not."""
    return connection.execute(select(token.c.id).limit(1)).first() is not None


def insert_token(connection: Connection, new: Token, secret_hash: str) -> None:
    """Add a token."""
    connection.execute(
        insert(token).values(
            id=new.id,
            name=clean(new.name),
            role=str(new.role),
            hash=secret_hash,
            created_us=new.created_us,
            created_by=clean(new.created_by),
            expires_us=new.expires_us,
        )
    )


def read_tokens(connection: Connection) -> list[Token]:
    """Return all tokens, the newest first."""
    return _tokens(connection, None)


def named(connection: Connection, name_or_id: str) -> list[Token]:
    """Return the tokens that have a name or an id, the newest first."""
    return _tokens(connection, or_(token.c.id == name_or_id, token.c.name == clean(name_or_id)))


def usable(connection: Connection, secret_hash: str, now_us: int) -> Token | None:
    """Return the token with the hash of a secret, None when there is none that opens anything now."""
    found = _tokens(connection, token.c.hash == secret_hash)
    return found[0] if found and found[0].state(now_us) is TokenState.USABLE else None


def revoke(connection: Connection, token_id: str, now_us: int) -> bool:
    """Revoke a token and end its sessions; False when it was revoked already or is not there."""
    standing = and_(token.c.id == token_id, token.c.revoked_us.is_(None))
    revoked = connection.execute(update(token).where(standing).values(revoked_us=now_us)).rowcount
    connection.execute(delete(session).where(session.c.token_id == token_id))
    return revoked > 0


def note_use(connection: Connection, token_id: str, now_us: int) -> None:
    """Remember that a token was used."""
    connection.execute(update(token).where(token.c.id == token_id).values(used_us=now_us))


def _tokens(connection: Connection, condition: ColumnElement[bool] | None) -> list[Token]:
    query = select(
        token.c.id,
        token.c.name,
        token.c.role,
        token.c.created_us,
        token.c.created_by,
        token.c.expires_us,
        token.c.revoked_us,
        token.c.used_us,
    ).order_by(token.c.created_us.desc(), token.c.id)
    if condition is not None:
        query = query.where(condition)
    return [Token(row[0], row[1], Role(row[2]), *row[3:]) for row in connection.execute(query)]
