"""Who is let in at the sink's port: bearer tokens, this machine, other sites, headers of answers. The served application itself."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from sink.roles import Role
from sink.store.audit import REFUSED, read_audit
from sink.token_actions import revoke_token
from tests.web import TESTER, Served, served, sqlite_url

LIST, TOKENS = "/api/v1/entries", "/api/v1/tokens"


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Served]:
    with served(sqlite_url(tmp_path)) as each:
        yield each


@pytest.fixture
def behind_proxy(tmp_path: Path) -> Iterator[Served]:
    with served(sqlite_url(tmp_path), {"sink.trusted_proxies": ["127.0.0.1"]}) as each:
        yield each


def test_a_token_lets_in(sink: Served) -> None:
    assert sink.client(sink.token("viewer")).get(LIST).status_code == 200


def test_wrong_expired_revoked_and_no_tokens_have_one_answer(sink: Served) -> None:
    expired = sink.token("admin", "expired", timedelta(hours=1))
    revoked = sink.token("admin", "revoked")
    right = sink.token("admin", "right")
    revoke_token(sink.store, "revoked", TESTER)
    sink.clock.go_on(timedelta(hours=2))

    answers = [
        sink.client().get(LIST, headers=headers)
        for headers in (
            {},
            {"Authorization": f"Bearer {expired}"},
            {"Authorization": f"Bearer {revoked}"},
            {"Authorization": "Bearer instep_wrong"},
            {"Authorization": "Bearer"},
            {"Authorization": f"Basic {right}"},
            {"Authorization": f"Bearer {right} {right}"},
        )
    ]

    told = {(each.status_code, each.text, each.headers["www-authenticate"]) for each in answers}
    assert len(told) == 1
    assert answers[0].status_code == 401
    assert answers[0].headers["content-type"] == "application/problem+json"


def test_a_token_that_is_revoked_is_refused_from_the_next_request_on(sink: Served) -> None:
    client = sink.client(sink.token("viewer", "short"))
    assert client.get(LIST).status_code == 200
    revoke_token(sink.store, "short", TESTER)
    assert client.get(LIST).status_code == 401


def test_a_role_too_low_is_refused(sink: Served) -> None:
    assert sink.client(sink.token("viewer")).get(TOKENS).status_code == 403
    assert sink.client(sink.token("operator")).get(TOKENS).status_code == 403
    assert sink.client(sink.token("admin")).get(TOKENS).status_code == 200


def test_what_somebody_known_may_not_do_is_in_the_audit_log(sink: Served) -> None:
    sink.client(sink.token("viewer")).post(TOKENS, json={"name": "x", "role": "admin"})
    with sink.store.reading() as connection:
        (noted,) = [each.deed for each in read_audit(connection, None, 10) if each.deed.actor == "viewer-1"]
    assert (noted.via, noted.what, noted.outcome) == ("api", TOKENS, REFUSED)


def test_where_there_is_no_such_page_a_stranger_hears_that_he_is_one(sink: Served) -> None:
    secret = sink.token("viewer")
    assert sink.client().get("/api/v1/nothing").status_code == 401
    assert sink.client(secret).get("/api/v1/nothing").status_code == 404


def test_without_any_token_this_machine_is_let_in_as_admin(sink: Served) -> None:
    assert sink.client().get(TOKENS).status_code == 200
    assert sink.client(headers={"Host": f"localhost:{sink.port}"}).get(TOKENS).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "192.0.2.7"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Real-IP": "192.0.2.7"},
        {"Forwarded": "for=192.0.2.7"},
        {"Via": "1.1 proxy"},
        {"X-Forwarded-Host": "localhost"},
    ],
)
def test_without_any_token_a_proxy_does_not_make_the_world_local(
    sink: Served, headers: dict[str, str]
) -> None:
    assert sink.client().get(LIST, headers=headers).status_code == 403


@pytest.mark.parametrize(
    "host", ["sink.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.1"]
)
def test_without_any_token_a_name_that_was_made_to_point_here_is_refused(sink: Served, host: str) -> None:
    assert sink.client().get(LIST, headers={"Host": host}).status_code == 403


def test_with_the_first_token_this_machine_is_as_strange_as_any(sink: Served) -> None:
    assert sink.client().get(LIST).status_code == 200
    sink.token("viewer", "first")
    assert sink.client().get(LIST).status_code == 401
    revoke_token(sink.store, "first", TESTER)
    assert sink.client().get(LIST).status_code == 401


def test_a_form_of_another_site_changes_nothing_without_tokens_too(sink: Served) -> None:
    body = {"name": "evil", "role": "admin"}
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": sink.url},
        # from here, but with no secret of the page
        {"Origin": sink.url},
        {"Sec-Fetch-Site": "same-origin"},
        {"Cookie": "a=b"},
    ):
        assert sink.client().post(TOKENS, json=body, headers=headers).status_code == 403, headers
    assert sink.client().get(TOKENS).json() == []
    assert sink.client().post(TOKENS, json=body).status_code == 201


def test_health_and_open_metrics_ask_for_nothing(sink: Served) -> None:
    sink.token("viewer")
    for path in ("/livez", "/readyz", "/metrics", "/api/openapi.json"):
        assert sink.client().get(path).status_code == 200, path


def test_metrics_can_be_protected(tmp_path: Path) -> None:
    with served(sqlite_url(tmp_path), {"sink.metrics_access": "protected"}) as sink:
        secret = sink.token("viewer")
        assert sink.client().get("/metrics").status_code == 401
        assert sink.client("instep_wrong").get("/metrics").status_code == 401
        assert sink.client(secret).get("/metrics").status_code == 200
        assert sink.client().get("/livez").status_code == 200


def test_wrong_tokens_are_slowed_down_and_right_ones_in_use_are_not(sink: Served) -> None:
    right = sink.client(sink.token("viewer"))
    assert right.get(LIST).status_code == 200
    answers = [sink.client(f"instep_{number}").get(LIST) for number in range(14)]
    assert {each.status_code for each in answers[:10]} == {401}
    assert answers[-1].status_code == 429
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 7
    assert right.get(LIST).status_code == 200


def test_wrong_tokens_at_one_address_slow_down_no_other(behind_proxy: Served) -> None:
    behind_proxy.token("viewer")
    statuses = {
        client: [
            behind_proxy.client("instep_wrong").get(LIST, headers={"X-Forwarded-For": client}).status_code
            for _ in range(12)
        ]
        for client in ("192.0.2.7", "192.0.2.8")
    }
    assert all(found[:10] == [401] * 10 and found[-1] == 429 for found in statuses.values())


def test_whoever_writes_addresses_into_headers_is_slowed_down_all_the_same(sink: Served) -> None:
    sink.token("viewer")
    statuses = [
        sink.client(f"instep_{n}").get(LIST, headers={"X-Forwarded-For": f"192.0.2.{n}"}).status_code
        for n in range(14)
    ]
    assert statuses[-1] == 429


@pytest.mark.parametrize("path", ["/livez", LIST, "/sign-in", "/", "/api/v1/nothing", "/nothing"])
@pytest.mark.parametrize("known", [True, False])
def test_every_answer_has_the_headers_that_keep_a_browser_safe(sink: Served, path: str, known: bool) -> None:
    secret = sink.token("viewer")
    answer = sink.client(secret if known else None).get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in answer.headers
    assert "server" not in answer.headers


def test_no_secret_is_in_the_log(
    sink: Served, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = sink.token("viewer")
    sink.client(secret).get(LIST)
    sink.client(f"{secret}x").get(LIST)
    sink.client().post("/sign-in", data={"token": f"{secret}y"})
    told = capfd.readouterr()
    assert "wrong token" in told.out + told.err
    assert secret not in told.out + told.err + caplog.text


def test_while_the_database_is_away_nobody_is_let_in_and_told_so() -> None:
    with served("postgresql://nobody@127.0.0.1:1/nothing", prepared=False) as sink:
        assert sink.client().get(LIST).status_code == 503
        assert sink.client("instep_any").get(LIST).headers["retry-after"] == "5"
        assert sink.client().get("/livez").status_code == 200


def test_before_the_tables_are_there_nobody_is_let_in(tmp_path: Path) -> None:
    with served(sqlite_url(tmp_path), prepared=False) as sink:
        assert sink.client().get(LIST).status_code == 503


def test_roles_are_those_of_the_configuration_and_the_command_line() -> None:
    from instep.token import ROLES

    assert tuple(Role) == ROLES
