"""Who is behind a token or a cookie, by the store."""

import secrets
from collections.abc import Callable, Mapping

import structlog

from sink.store import audit, sessions, tokens
from sink.store.audit import DONE, REFUSED, Deed
from sink.store.sessions import Session
from sink.store.store import Store, StoreAway
from sink.store.tokens import Token
from sink.token_actions import LOCAL
from sink.web.access.forgery import is_from_browser
from sink.web.access.forwarded import Origin, host_name, is_loopback
from sink.web.access.person import Person, Role

PAGE, API = "page", "api"
_LONGEST_PATH = 200


class Admission:
    """Knows people by the store; each method may wait for the database, and raises what StoreAway lists."""

    def __init__(self, store: Store, clock_us: Callable[[], int]) -> None:
        self._store = store
        self._clock_us = clock_us
        # a sink that had a token once has one for ever, so this is asked until it is so
        self._guarded = False
        # those who are let in without a token have no session of their own
        self._local_csrf = secrets.token_urlsafe(32)

    def guarded(self) -> bool:
        """Whether there is any token, usable or not: then nobody is let in without one."""
        if not self._guarded:
            with self._store.reading() as connection:
                self._guarded = tokens.any_token(connection)
        return self._guarded

    def by_token(self, secret_hash: str) -> Person | None:
        """Return the person behind a bearer token by its hash, None when it opens nothing."""
        now_us = self._clock_us()
        with self._store.reading() as connection:
            found = tokens.usable(connection, secret_hash, now_us)
        if found is None:
            return None
        self._note_use(found, now_us)
        return Person(found.name, found.role, API, csrf=None)

    def by_cookie(self, cookie: str, *, in_use: bool) -> Person | None:
        """Return the person behind the cookie of a session, None when the session is over.

        `in_use`: a person asked, and no page by itself, which would keep the session of an open tab for ever.
        """
        now_us = self._clock_us()
        with self._store.reading() as connection:
            found = sessions.read_session(connection, cookie, now_us)
        if found is None:
            return None
        last_visit_us = self._note_seen(found, now_us) if in_use else found.last_visit_us
        return Person(found.token.name, found.token.role, PAGE, found.csrf, last_visit_us)

    def by_place(self, origin: Origin, headers: Mapping[str, str], path: str, version: str) -> Person | None:
        """Return whoever is at this machine itself, None when that is not beyond doubt.

        A proxy on this machine would pass the world off as local, so any sign of one is enough to refuse: its headers, or HTTP/1.0.
        The host that is asked for must be a name of this machine, or another site's name could be made to point here (DNS rebinding).
        """
        doubtful = origin.forwarded or version == "1.0" or not is_loopback(origin.client)
        if doubtful or not is_loopback(host_name(origin.host)):
            return None
        if path.startswith("/api/") and not is_from_browser(headers):
            return Person(LOCAL, Role.ADMIN, API, csrf=None)
        return Person(LOCAL, Role.ADMIN, PAGE, self._local_csrf)

    def sign_in(self, secret: str) -> tuple[str, Session] | None:
        """Begin a session with a token's secret; returns its cookie, None when the token opens nothing."""
        now_us = self._clock_us()
        with self._store.writing() as connection:
            owner = tokens.usable(connection, tokens.hash_secret(secret), now_us)
            if owner is None:
                return None
            tokens.note_use(connection, owner.id, now_us)
            audit.record(connection, Deed(owner.name, PAGE, "sign in", str(owner.role), 1, DONE), now_us)
            return sessions.start_session(connection, owner, now_us)

    def sign_out(self, cookie: str, person: Person) -> None:
        """End the session of a cookie."""
        now_us = self._clock_us()
        with self._store.writing() as connection:
            sessions.end_session(connection, cookie)
            audit.record(connection, Deed(person.name, PAGE, "sign out", str(person.role), 1, DONE), now_us)

    def note_refused(self, person: Person, method: str, path: str) -> None:
        """Write down that someone known wanted to do what that person may not."""
        what = path[:_LONGEST_PATH]
        with self._store.writing() as connection:
            deed = Deed(person.name, person.via, f"{method} without the right", what, 0, REFUSED)
            audit.record(connection, deed, self._clock_us())

    def _note_use(self, found: Token, now_us: int) -> None:
        if found.used_us is None or now_us - found.used_us >= tokens.NOTED_EVERY_US:
            try:
                with self._store.writing() as connection:
                    tokens.note_use(connection, found.id, now_us)
            except StoreAway:
                structlog.get_logger().warning(
                    "the use of a token could not be noted; read on", token=found.id
                )

    def _note_seen(self, found: Session, now_us: int) -> int | None:
        if not sessions.is_due(found, now_us):
            return found.last_visit_us
        try:
            with self._store.writing() as connection:
                return sessions.note_seen(connection, found, now_us)
        except StoreAway:
            structlog.get_logger().warning("the use of a session could not be noted; read on")
            return found.last_visit_us
