"""Entries over HTTP: lists, one, and actions; on PostgreSQL and on SQLite."""

from collections.abc import Callable
from typing import Any

import pytest

from schemas.events import SyncFailed
from sink.roles import Role
from sink.store.store import Store
from tests.contract.api import Api, api, known_as, problem, sink
from tests.contract.stored import entries, told
from tests.sink_events import failed, resolved

__all__ = ["api", "known_as", "sink"]


def listed(api: Api, **parameters: Any) -> list[str]:
    response = api.get("/entries", **parameters)
    assert response.status_code == 200, response.text
    return [each["record_id"] for each in response.json()["entries"]]


def an_entry(api: Api, store: Store, failure: SyncFailed | None = None) -> str:
    told(store, failure or failed())
    (entry,) = api.get("/entries").json()["entries"]
    return str(entry["id"])


def test_what_is_not_closed_is_listed_the_last_failed_first(api: Api, store: Store) -> None:
    done = failed("C003", 3)
    told(store, failed("C001", 1), failed("C002", 2), done, resolved(done))
    assert listed(api) == ["C002", "C001"]
    assert listed(api, state="resolved") == ["C003"]


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"record": "C001"}, ["C001"]),
        ({"record": ["C001", "C002"]}, ["C002", "C001"]),
        ({"mapping": "other"}, []),
        ({"category": "data", "code": "too_long"}, ["C002", "C001"]),
        ({"fixer": "developer"}, []),
        ({"text": "C00"}, ["C002", "C001"]),
        ({"older_than": "1h"}, ["C002", "C001"]),
        ({"newer_than": "1s"}, []),
    ],
)
def test_filters_are_those_of_the_commands(
    api: Api, store: Store, parameters: dict[str, Any], found: list[str]
) -> None:
    told(store, failed("C001", 1), failed("C002", 2))
    assert listed(api, **parameters) == found


def test_pages_follow_each_other_to_the_end(api: Api, store: Store) -> None:
    told(store, *(failed(f"C{n}", n) for n in range(5)))
    first = api.get("/entries", limit=3).json()
    second = api.get("/entries", limit=3, after=first["after"]).json()
    assert [each["record_id"] for each in first["entries"] + second["entries"]] == [
        "C4", "C3", "C2", "C1", "C0",
    ]  # fmt: skip
    assert second["after"] is None


def test_entry_is_shown_by_the_first_digits_of_its_id_with_its_version_as_etag(
    api: Api, store: Store
) -> None:
    entry_id = an_entry(api, store)
    response = api.get(f"/entries/{entry_id[:6]}")
    entry = response.json()
    assert entry["id"] == entry_id
    assert response.headers["etag"] == f'"{entry["row_version"]}"'
    assert entry["source"]["link"] == "https://erp.example/C001"
    assert entry["last_failed_at"].startswith("2026-11-01T12:00:00")


def test_message_is_for_admins_alone(known_as: Callable[[Role], Api], store: Store) -> None:
    told(store, failed())
    viewer, operator, admin = (known_as(role) for role in Role)
    entry_id = admin.get("/entries").json()["entries"][0]["id"]
    assert admin.get(f"/entries/{entry_id}/message").json() == {
        "key": "C001",
        "value": '{"number":"C001"}',
    }
    assert operator.get(f"/entries/{entry_id}/message").status_code == 403
    assert viewer.get(f"/entries/{entry_id}/message").status_code == 403
    assert "number" not in viewer.get(f"/entries/{entry_id}").text


def test_entry_that_is_not_there_is_404(api: Api) -> None:
    assert problem(api.get("/entries/0123456789abcdef"))["type"] == "urn:instep:problem:not-found"


def test_action_is_taken_and_kept_with_its_reason(api: Api, store: Store) -> None:
    entry_id = an_entry(api, store)
    done = api.post(f"/entries/{entry_id}/actions", {"action": "resolve", "reason": "by hand"}).json()
    assert done["done"]
    (entry,) = entries(store)
    assert (entry.state, entry.reason, entry.closed_by) == ("resolved", "by hand", "local")


def test_action_on_what_has_changed_since_is_412(api: Api, store: Store) -> None:
    entry_id = an_entry(api, store)
    etag = api.get(f"/entries/{entry_id}").headers["etag"]
    told(store, failed(attempt=2))
    refused = api.post(f"/entries/{entry_id}/actions", {"action": "discard"}, match=etag)
    assert refused.status_code == 412
    assert problem(refused)["refused"] == "changed"
    now = api.get(f"/entries/{entry_id}").headers["etag"]
    assert api.post(f"/entries/{entry_id}/actions", {"action": "discard"}, match=now).status_code == 200


def test_step_that_is_not_allowed_is_409_and_says_why(api: Api, store: Store) -> None:
    told(store, failed(), resolved(failed()))
    entry_id = api.get("/entries", state="resolved").json()["entries"][0]["id"]
    refused = problem(api.post(f"/entries/{entry_id}/actions", {"action": "replay"}))
    assert (refused["status"], refused["refused"]) == (409, "closed")
    assert "closed already" in refused["detail"]


def test_bulk_action_by_filter_moves_what_it_may_and_says_what_it_may_not(api: Api, store: Store) -> None:
    told(store, failed("C001", 1), failed("C002", 2), failed("C003", 3), resolved(failed("C003", 3)))
    selected = {"filter": {"mapping": ["customers"], "state": ["open", "resolved"]}, "action": "discard"}
    done = api.post("/entries/actions", selected).json()
    assert (done["done"], done["refused"]) == (2, 1)
    assert {each.get("refused") for each in done["steps"]} == {None, "closed"}


def test_bulk_action_needs_ids_or_a_filter_that_says_something(api: Api, store: Store) -> None:
    told(store, failed())
    wrong: list[dict[str, Any]] = [
        {}, {"filter": {}}, {"ids": ["0" * 16], "filter": {"state": ["open"]}}, {"ids": []},
    ]  # fmt: skip
    for wanted in wrong:
        refused = problem(api.post("/entries/actions", {"action": "discard", **wanted}))
        assert refused["status"] == 422
    assert [entry.state for entry in entries(store)] == ["open"]


def test_repeated_request_under_one_key_is_carried_out_once(api: Api, store: Store) -> None:
    entry_id = an_entry(api, store)
    path, wanted = f"/entries/{entry_id}/actions", {"action": "replay"}
    first, second = (api.post(path, wanted, key="k1") for _ in range(2))
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"
    assert api.post(path, wanted, key="k2").status_code == 409


def test_key_of_another_request_is_422(api: Api, store: Store) -> None:
    entry_id = an_entry(api, store)
    path = f"/entries/{entry_id}/actions"
    api.post(path, {"action": "resolve"}, key="k1")
    refused = problem(api.post(path, {"action": "discard"}, key="k1"))
    assert (refused["status"], refused["type"]) == (422, "urn:instep:problem:idempotency-key")


def test_key_of_a_refused_request_is_free_again(api: Api, store: Store) -> None:
    entry_id = an_entry(api, store)
    path, wanted = f"/entries/{entry_id}/actions", {"action": "resolve"}
    assert api.post(path, wanted, match='"999"', key="k1").status_code == 412
    assert api.post(path, wanted, key="k1").status_code == 200
