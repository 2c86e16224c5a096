"""What the store promises of tokens, sessions and the audit log, on PostgreSQL and on SQLite."""

import threading
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select

from schemas.config.process import RetentionConfig
from sink.actions import Actor, now_us
from sink.janitor import Janitor
from sink.roles import Role
from sink.store import audit, sessions, tables, tokens
from sink.store.audit import DONE, REFUSED, Deed, read_audit
from sink.store.sessions import IDLE, LONGEST, NEW_VISIT_AFTER, Session
from sink.store.store import Store
from sink.store.tokens import Token, TokenState, hash_secret
from sink.token_actions import NewToken, TokenRefused, create_token, revoke_token

ANNA = Actor("anna", "cli")


@dataclass(frozen=True, slots=True)
class Clock:
    at_us: int

    def __call__(self) -> int:
        return self.at_us


def us(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def made(
    store: Store, name: str = "ops", role: Role = Role.OPERATOR, expires: timedelta | None = None
) -> NewToken:
    new = create_token(store, name, role, expires, ANNA)
    assert isinstance(new, NewToken)
    return new


def seen(store: Store, cookie: str, at_us: int) -> Session | None:
    with store.reading() as connection:
        return sessions.read_session(connection, cookie, at_us)


def begun(store: Store, new: NewToken, at_us: int) -> str:
    with store.writing() as connection:
        return sessions.start_session(connection, new.token, at_us)[0]


def test_a_secret_opens_what_its_token_opens(store: Store) -> None:
    new = made(store)
    with store.reading() as connection:
        found = tokens.usable(connection, hash_secret(new.secret), now_us())
        assert tokens.usable(connection, hash_secret(new.secret + "x"), now_us()) is None
    assert found == new.token
    assert (found.name, found.role, found.created_by) == ("ops", Role.OPERATOR, "anna")


def test_no_secret_is_in_the_store(store: Store) -> None:
    new = made(store)
    cookie = begun(store, new, now_us())
    with store.reading() as connection:
        for table in (tables.token, tables.session, tables.audit):
            text = repr(connection.execute(select(table)).all())
            assert new.secret not in text
            assert new.secret.removeprefix("instep_") not in text
            assert cookie not in text


def test_secrets_differ_and_have_256_random_bits(store: Store) -> None:
    secrets = {made(store, f"t{number}").secret for number in range(20)}
    assert len(secrets) == 20
    assert all(secret.startswith("instep_") and len(secret) == len("instep_") + 43 for secret in secrets)


def test_an_expired_token_opens_nothing(store: Store) -> None:
    new = made(store, expires=timedelta(days=90))
    assert new.token.expires_us is not None
    with store.reading() as connection:
        assert tokens.usable(connection, hash_secret(new.secret), new.token.expires_us - 1) is not None
        assert tokens.usable(connection, hash_secret(new.secret), new.token.expires_us) is None
    assert new.token.state(new.token.expires_us) is TokenState.EXPIRED


def test_a_revoked_token_opens_nothing_and_ends_its_sessions(store: Store) -> None:
    new = made(store)
    cookie = begun(store, new, now_us())
    revoked = revoke_token(store, "ops", ANNA)
    assert isinstance(revoked, Token)
    assert revoked.id == new.token.id
    with store.reading() as connection:
        assert tokens.usable(connection, hash_secret(new.secret), now_us()) is None
        assert [each.state(now_us()) for each in tokens.read_tokens(connection)] == [TokenState.REVOKED]
    assert seen(store, cookie, now_us()) is None


def test_a_store_whose_only_token_is_revoked_is_still_guarded(store: Store) -> None:
    with store.reading() as connection:
        assert not tokens.any_token(connection)
    revoke_token(store, made(store).token.id, ANNA)
    with store.reading() as connection:
        assert tokens.any_token(connection)


def test_a_name_in_force_cannot_be_had_twice_but_again(store: Store) -> None:
    made(store)
    assert isinstance(create_token(store, "ops", Role.ADMIN, None, ANNA), TokenRefused)
    revoke_token(store, "ops", ANNA)
    assert made(store).token.role is Role.OPERATOR


def test_names_that_say_nothing_or_too_much_are_refused(store: Store) -> None:
    for name in ("", "  ", "local", "a\x1b[2J", "a\nb", "x" * 101, "\u202ea"):
        assert isinstance(create_token(store, name, Role.VIEWER, None, ANNA), TokenRefused), name


def test_a_token_that_is_not_there_or_revoked_cannot_be_revoked(store: Store) -> None:
    assert isinstance(revoke_token(store, "ops", ANNA), TokenRefused)
    made(store)
    revoke_token(store, "ops", ANNA)
    assert isinstance(revoke_token(store, "ops", ANNA), TokenRefused)


def test_what_was_done_to_tokens_is_in_the_audit_log(store: Store) -> None:
    made(store)
    create_token(store, "ops", Role.ADMIN, None, ANNA)
    revoke_token(store, "ops", ANNA)
    revoke_token(store, "nobody", ANNA)
    with store.reading() as connection:
        noted = [each.deed for each in read_audit(connection, None, 10)]
    assert noted == [
        Deed("anna", "cli", "revoke token", "nobody", 0, REFUSED),
        Deed("anna", "cli", "revoke token", "ops", 1, DONE),
        Deed("anna", "cli", "create token", "ops", 0, REFUSED),
        Deed("anna", "cli", "create token", "ops", 1, DONE),
    ]


def test_a_session_ends_when_it_is_idle(store: Store) -> None:
    start = now_us()
    cookie = begun(store, made(store), start)
    assert seen(store, cookie, start + us(IDLE) - 1) is not None
    assert seen(store, cookie, start + us(IDLE)) is None


def test_a_session_that_is_used_goes_on_but_not_for_ever(store: Store) -> None:
    start = now_us()
    cookie = begun(store, made(store), start)
    at_us, step = start, us(IDLE) - us(timedelta(hours=1))
    while (session := seen(store, cookie, at_us)) is not None:
        with store.writing() as connection:
            sessions.note_seen(connection, session, at_us)
        at_us += step
    assert us(LONGEST) <= at_us - start < us(LONGEST) + step


def test_a_session_ends_with_its_token(store: Store) -> None:
    start = now_us()
    cookie = begun(store, made(store, expires=timedelta(hours=1)), start)
    assert seen(store, cookie, start) is not None
    assert seen(store, cookie, start + us(timedelta(hours=1, seconds=5))) is None


def test_a_session_that_was_left_is_over(store: Store) -> None:
    cookie = begun(store, made(store), now_us())
    with store.writing() as connection:
        sessions.end_session(connection, cookie)
    assert seen(store, cookie, now_us()) is None


def test_a_visit_knows_when_the_one_before_ended(store: Store) -> None:
    new, start = made(store), now_us()
    first = begun(store, new, start)
    session = seen(store, first, start)
    assert session is not None
    assert session.last_visit_us is None
    back = start + us(NEW_VISIT_AFTER)
    with store.writing() as connection:
        assert sessions.note_seen(connection, session, start + 1) is None
        assert sessions.note_seen(connection, session, back) == start
    again = seen(store, begun(store, new, back + 5), back + 5)
    assert again is not None
    assert again.last_visit_us == back


def test_the_audit_log_is_read_in_pages_and_by_actor_and_action(store: Store) -> None:
    with store.writing() as connection:
        for number in range(7):
            actor, action = ("anna", "bert")[number % 2], ("replay", "discard")[number % 3 == 0]
            audit.record(connection, Deed(actor, "api", action, f"e{number}", 1, DONE), 1000 + number)
    with store.reading() as connection:
        first = read_audit(connection, None, 3)
        second = read_audit(connection, first[-1].id, 10)
        assert [each.deed.what for each in [*first, *second]] == [f"e{n}" for n in (6, 5, 4, 3, 2, 1, 0)]
        assert [each.deed.what for each in read_audit(connection, None, 10, actor="bert")] == [
            "e5",
            "e3",
            "e1",
        ]
        assert [each.deed.what for each in read_audit(connection, None, 10, action="discard")] == [
            "e6",
            "e3",
            "e0",
        ]
        assert [each.at_us for each in read_audit(connection, None, 10, "anna", "discard")] == [1006, 1000]
        assert read_audit(connection, None, 10, actor="' OR 1=1 --\x00") == []


def test_what_was_done_long_ago_is_forgotten_in_small_batches(store: Store) -> None:
    day = us(timedelta(days=1))
    with store.writing() as connection:
        for number in range(25):
            audit.record(connection, Deed("a", "cli", "replay", "x", 1, DONE), number * day)
    config = RetentionConfig(audit=timedelta(days=10), batch_rows=4)
    removed = Janitor(store, config, Clock(30 * day), threading.Event()).run()
    with store.reading() as connection:
        assert [each.at_us // day for each in read_audit(connection, None, 100)] == [24, 23, 22, 21, 20]
    assert removed["audit"] == 20


def test_sessions_that_are_long_over_are_removed(store: Store) -> None:
    start = now_us()
    begun(store, made(store), start)
    for at_us, left in ((start + us(timedelta(days=30)), 1), (start + us(timedelta(days=31)), 0)):
        Janitor(store, RetentionConfig(), Clock(at_us), threading.Event()).run()
        with store.reading() as connection:
            assert len(connection.execute(select(tables.session)).all()) == left
