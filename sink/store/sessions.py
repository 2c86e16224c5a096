"""Sessions of people at the page. The cookie is not here, only sha256 of it; a session ends with its token."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, delete, func, insert, select, update

from sink.store import tokens
from sink.store.tables import session
from sink.store.tokens import Token, TokenState, hash_secret

IDLE = timedelta(hours=12)
"""A session that is not used for so long ends: whoever comes back the next morning signs in again."""
LONGEST = timedelta(days=7)
"""A session ends after so long however much it is used."""
NEW_VISIT_AFTER = timedelta(minutes=30)
"""Whoever comes back after so long makes a new visit."""

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Session:
    """One session; `last_visit_us` is when the visit before this one ended, None when this is the first."""

    hash: str
    token: Token
    csrf: str
    created_us: int
    expires_us: int
    last_visit_us: int | None
    seen_us: int


def start_session(connection: Connection, owner: Token, now_us: int) -> tuple[str, Session]:
    """Begin a session; returns the cookie, which is stored nowhere, and the session."""
    cookie = secrets.token_urlsafe(32)
    seen = select(func.max(session.c.seen_us)).where(session.c.token_id == owner.id)
    begun = Session(
        hash=hash_secret(cookie),
        token=owner,
        csrf=secrets.token_urlsafe(32),
        created_us=now_us,
        expires_us=_expires_us(owner, now_us, now_us),
        last_visit_us=connection.scalar(seen),
        seen_us=now_us,
    )
    connection.execute(
        insert(session).values(
            hash=begun.hash,
            token_id=owner.id,
            csrf=begun.csrf,
            created_us=now_us,
            expires_us=begun.expires_us,
            visit_us=now_us,
            last_visit_us=begun.last_visit_us,
            seen_us=now_us,
        )
    )
    return cookie, begun


def read_session(connection: Connection, cookie: str, now_us: int) -> Session | None:
    """Return the session of a cookie, None when it is over or its token opens nothing any more."""
    row = connection.execute(select(session).where(session.c.hash == hash_secret(cookie))).one_or_none()
    if row is None or row.expires_us <= now_us:
        return None
    owners = tokens.named(connection, row.token_id)
    owner = next((each for each in owners if each.id == row.token_id), None)
    if owner is None or owner.state(now_us) is not TokenState.USABLE:
        return None
    return Session(row.hash, owner, row.csrf, row.created_us, row.expires_us, row.last_visit_us, row.seen_us)


def is_due(seen: Session, now_us: int) -> bool:
    """Whether it is time to note that a session is used."""
    return now_us - seen.seen_us >= tokens.NOTED_EVERY_US


def note_seen(connection: Connection, seen: Session, now_us: int) -> int | None:
    """Remember that a session is used, which puts its end off; after a pause a new visit begins. Returns when the last one ended."""
    last_visit_us = seen.last_visit_us
    visit: dict[str, int] = {}
    if now_us - seen.seen_us >= NEW_VISIT_AFTER // _MICROSECOND:
        last_visit_us = seen.seen_us
        visit = {"visit_us": now_us, "last_visit_us": last_visit_us}
    expires_us = _expires_us(seen.token, seen.created_us, now_us)
    connection.execute(
        update(session)
        .where(session.c.hash == seen.hash)
        .values(seen_us=now_us, expires_us=expires_us, **visit)
    )
    return last_visit_us


def end_session(connection: Connection, cookie: str) -> None:
    """End the session of a cookie, if there is one."""
    connection.execute(delete(session).where(session.c.hash == hash_secret(cookie)))


def _expires_us(owner: Token, created_us: int, now_us: int) -> int:
    ends = [now_us + IDLE // _MICROSECOND, created_us + LONGEST // _MICROSECOND]
    if owner.expires_us is not None:
        ends.append(owner.expires_us)
    return min(ends)
