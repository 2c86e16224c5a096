"""Signing in at the page, sessions, cookies, forged forms; behind TLS and behind a proxy. The served application itself."""

import re
import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from sink.store.audit import read_audit
from sink.token_actions import revoke_token
from tests.services.certificates import write_certificates
from tests.web import TESTER, Served, served, sqlite_url

PAGE = {"Accept": "text/html"}
SEEN = "/codes"


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Served]:
    with served(sqlite_url(tmp_path)) as each:
        yield each


def csrf_of(client: httpx2.Client) -> str:
    """The secret that the forms of a page carry."""
    found = re.search(r'name="csrf" value="([^"]+)"', client.get(SEEN).text)
    assert found is not None
    return found[1]


def test_a_stranger_is_led_to_the_sign_in_page_and_back(sink: Served) -> None:
    secret = sink.token("viewer")
    client = sink.client(headers=PAGE)
    led = client.get("/codes?a=1%202")
    assert (led.status_code, led.headers["location"]) == (303, "/sign-in?next=%2Fcodes%3Fa%3D1%25202")
    form = client.get(led.headers["location"])
    assert form.status_code == 200
    assert 'name="token"' in form.text
    back = client.post("/sign-in", data={"token": secret, "next": "/codes?a=1%202"})
    assert (back.status_code, back.headers["location"]) == (303, "/codes?a=1%202")
    assert client.get("/codes").status_code == 200


def test_a_stranger_is_led_to_no_other_site(sink: Served) -> None:
    secret = sink.token("viewer")
    for place in ("https://evil.example", "//evil.example", "/\\evil.example"):
        back = sink.client(headers=PAGE).post("/sign-in", data={"token": secret, "next": place})
        assert back.headers["location"] == "/"


def test_part_of_a_page_is_answered_with_the_way_to_the_sign_in_page(sink: Served) -> None:
    sink.token("viewer")
    answer = sink.client(headers=PAGE).get(SEEN, headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/sign-in")


def test_nobody_is_asked_to_sign_in_while_there_is_no_token(sink: Served) -> None:
    assert sink.client(headers=PAGE).get(SEEN).status_code == 200
    assert sink.client(headers=PAGE).get("/sign-in").headers["location"] == "/"


def test_wrong_expired_and_revoked_tokens_are_refused_with_one_page(sink: Served) -> None:
    secrets = [
        sink.token("admin", "expired", timedelta(hours=1)),
        sink.token("admin", "revoked"),
        "instep_x",
        "",
    ]
    revoke_token(sink.store, "revoked", TESTER)
    sink.clock.go_on(timedelta(hours=2))
    answers = [sink.client(headers=PAGE).post("/sign-in", data={"token": each}) for each in secrets]
    assert {each.status_code for each in answers} == {401}
    assert len({each.text for each in answers}) == 1
    assert all("set-cookie" not in each.headers for each in answers)


def test_signing_in_with_wrong_tokens_is_slowed_down(sink: Served) -> None:
    secret = sink.token("admin")
    tries = [sink.client(headers=PAGE).post("/sign-in", data={"token": f"x{n}"}) for n in range(12)]
    assert [each.status_code for each in tries[:10]] == [401] * 10
    assert tries[-1].status_code == 429
    assert 1 <= int(tries[-1].headers["retry-after"]) <= 7
    assert sink.client(headers=PAGE).post("/sign-in", data={"token": secret}).status_code == 429


def test_the_cookie_is_for_no_script_and_no_other_site(sink: Served) -> None:
    answer = sink.client(headers=PAGE).post("/sign-in", data={"token": sink.token("viewer")})
    kept = answer.headers["set-cookie"].lower()
    assert kept.startswith("instep=")
    assert all(flag in kept for flag in ("; httponly", "; samesite=lax", "; path=/", "; max-age=604800"))
    assert "secure" not in kept
    assert "domain" not in kept


def test_behind_tls_the_cookie_is_for_tls_alone_and_stays_so(tmp_path: Path) -> None:
    authority, both = write_certificates(tmp_path)
    trust = ssl.create_default_context(cafile=authority)
    tls = {"sink.tls.certificate": str(both), "sink.tls.key": str(both)}
    with served(sqlite_url(tmp_path), tls) as sink:
        secret = sink.token("viewer")
        client = sink.client(headers=PAGE, verify=trust)
        answer = client.post("/sign-in", data={"token": secret})
        assert answer.headers["set-cookie"].startswith("__Host-instep=")
        assert "; secure" in answer.headers["set-cookie"].lower()
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert client.get(SEEN).status_code == 200
        name, _, value = answer.headers["set-cookie"].partition(";")[0].partition("=")
        other = sink.client(
            headers=PAGE | {"Cookie": f"{name.removeprefix('__Host-')}={value}"}, verify=trust
        )
        assert other.get(SEEN).status_code == 303


def test_behind_a_trusted_proxy_with_tls_the_cookie_is_for_tls_alone(tmp_path: Path) -> None:
    with served(sqlite_url(tmp_path), {"sink.trusted_proxies": ["127.0.0.1/32"]}) as sink:
        proxied = {
            **PAGE,
            "X-Forwarded-Proto": "https",
            "X-Forwarded-For": "192.0.2.7",
            "X-Forwarded-Host": "sink.example",
            "Origin": "https://sink.example",
        }
        answer = sink.client(headers=proxied).post("/sign-in", data={"token": sink.token("viewer")})
        assert answer.headers["set-cookie"].startswith("__Host-instep=")
        assert "strict-transport-security" in answer.headers


def test_a_stranger_cannot_pretend_tls(sink: Served) -> None:
    secret = sink.token("viewer")
    answer = sink.client(headers=PAGE | {"X-Forwarded-Proto": "https"}).post(
        "/sign-in", data={"token": secret}
    )
    assert answer.headers["set-cookie"].startswith("instep=")
    assert "strict-transport-security" not in answer.headers


def test_signing_out_ends_the_session(sink: Served) -> None:
    client = sink.signed_in("operator")
    cookies = dict(client.cookies)
    answer = client.post("/sign-out", data={"csrf": csrf_of(client)})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert 'instep=""' in answer.headers["set-cookie"]
    assert sink.client(headers=PAGE, cookies=cookies).get(SEEN).status_code == 303


def test_a_session_ends_when_its_token_is_revoked_or_expires(sink: Served) -> None:
    client = sink.signed_in("viewer")
    assert client.get(SEEN).status_code == 200
    revoke_token(sink.store, "viewer-at-the-page", TESTER)
    assert client.get(SEEN).status_code == 303

    short = sink.client(headers=PAGE)
    short.post("/sign-in", data={"token": sink.token("viewer", "short", timedelta(hours=1))})
    assert short.get(SEEN).status_code == 200
    sink.clock.go_on(timedelta(hours=2))
    assert short.get(SEEN).status_code == 303


def test_a_page_that_asks_by_itself_does_not_keep_its_session(sink: Served) -> None:
    client = sink.signed_in("viewer")
    for _ in range(11):
        sink.clock.go_on(timedelta(hours=1))
        assert client.get("/", headers={"HX-Request": "true"}).status_code == 200
    sink.clock.go_on(timedelta(hours=1))
    ended = client.get("/", headers={"HX-Request": "true"})
    assert (ended.status_code, ended.headers["hx-redirect"]) == (401, "/sign-in")


def test_a_page_that_was_left_open_is_no_visit(sink: Served) -> None:
    client = sink.signed_in("viewer")
    for _ in range(3):
        sink.clock.go_on(timedelta(minutes=15))
        client.get("/", headers={"HX-Request": "true"})
    assert "Since your last visit" in client.get("/").text


def test_a_session_ends_when_it_is_idle_and_goes_on_when_used(sink: Served) -> None:
    client = sink.signed_in("viewer")
    for _ in range(3):
        sink.clock.go_on(timedelta(hours=11))
        assert client.get(SEEN).status_code == 200
    sink.clock.go_on(timedelta(hours=12))
    answer = client.get(SEEN)
    assert answer.status_code == 303
    assert "max-age=0" in answer.headers["set-cookie"].lower()


def test_a_form_without_the_secret_of_the_session_changes_nothing(sink: Served) -> None:
    client = sink.signed_in("operator")
    other = sink.client(headers=PAGE)
    other.post("/sign-in", data={"token": sink.token("operator", "other")})
    stolen = csrf_of(other)
    for form in ({}, {"csrf": ""}, {"csrf": "x"}, {"csrf": stolen}):
        assert client.post("/sign-out", data=form).status_code == 403, form
    for header in ("", "x", stolen):
        assert client.post("/sign-out", headers={"X-CSRF-Token": header}).status_code == 403
    assert client.post("/sign-out", files={"csrf": b"x"}).status_code == 403
    assert client.post("/sign-out", content=b"csrf=x").status_code == 403
    assert client.get(SEEN).status_code == 200


def test_the_secret_of_the_session_may_come_in_a_form_or_a_header(sink: Served) -> None:
    by_header = sink.signed_in("operator")
    assert by_header.post("/sign-out", headers={"X-CSRF-Token": csrf_of(by_header)}).status_code == 303
    by_parts = sink.client(headers=PAGE)
    by_parts.post("/sign-in", data={"token": sink.token("operator", "again")})
    assert by_parts.post("/sign-out", files={"csrf": (None, csrf_of(by_parts))}).status_code == 303


def test_a_form_from_another_site_changes_nothing_even_with_the_secret(sink: Served) -> None:
    client = sink.signed_in("operator")
    form = {"csrf": csrf_of(client)}
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.post("/sign-out", data=form, headers=headers).status_code == 403
    assert client.post("/sign-out", data=form, headers={"Origin": sink.url}).status_code == 303


def test_nobody_can_be_signed_in_by_another_site(sink: Served) -> None:
    form = {"token": sink.token("viewer")}
    answer = sink.client(headers=PAGE | {"Origin": "https://evil.example"}).post("/sign-in", data=form)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_session_opens_the_api_too_and_only_with_the_secret_changes_it(sink: Served) -> None:
    client = sink.signed_in("admin")
    body = {"name": "made-at-the-page", "role": "viewer"}
    assert client.get("/api/v1/tokens").status_code == 200
    assert client.post("/api/v1/tokens", json=body).status_code == 403
    secret = csrf_of(client)
    assert client.post("/api/v1/tokens", json=body, headers={"X-CSRF-Token": secret}).status_code == 201


def test_signing_in_and_out_is_in_the_audit_log(sink: Served) -> None:
    client = sink.signed_in("operator")
    client.post("/sign-out", data={"csrf": csrf_of(client)})
    with sink.store.reading() as connection:
        noted = [each.deed for each in read_audit(connection, None, 2)]
    assert [(each.actor, each.via, each.action) for each in noted] == [
        ("operator-at-the-page", "page", "sign out"),
        ("operator-at-the-page", "page", "sign in"),
    ]


def test_a_token_name_is_shown_inert(sink: Served) -> None:
    secret = sink.token("viewer", "<script>alert(1)</script>")
    client = sink.client(headers=PAGE)
    client.post("/sign-in", data={"token": secret})
    page = client.get(SEEN).text
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
