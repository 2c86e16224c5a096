"""Groups, replay jobs, status, quarantine, archive, audit, catalogue and tokens over HTTP; on PostgreSQL and on SQLite."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from sqlalchemy import select

from sink.roles import Role
from sink.store.store import Store
from sink.store.tables import job
from tests.contract.api import Api, api, known_as, problem, sink
from tests.contract.stored import entries, ingest, told
from tests.integration.sink_running import SinkSetup
from tests.sink_events import failed, records, resolved
from tests.web_serving import served

__all__ = ["api", "known_as", "sink"]


def only_group(api: Api) -> str:
    (group,) = api.get("/groups").json()["groups"]
    return str(group["id"])


def test_groups_are_listed_and_shown_with_their_numbers(api: Api, store: Store) -> None:
    told(store, failed("C001", 1), failed("C002", 2))
    response = api.get(f"/groups/{only_group(api)}")
    group = response.json()
    assert (group["relevant"], group["state"], group["code"]) == (2, "open", "too_long")
    assert response.headers["etag"] == f'"{group["row_version"]}"'
    entries_of = api.get("/entries", group=group["id"]).json()["entries"]
    assert len(entries_of) == 2


def test_muted_group_is_open_again_when_unmuted(api: Api, store: Store) -> None:
    told(store, failed())
    group = only_group(api)
    assert api.post(f"/groups/{group}/mute", {"up_to": 5}, match='"1000"').status_code == 412
    assert api.post(f"/groups/{group}/mute", {"up_to": 5}).json()["state"] == "muted"
    assert api.post(f"/groups/{group}/unmute").json()["state"] == "open"
    assert problem(api.post(f"/groups/{group}/mute", {}))["refused"] == "no_end"
    assert api.post("/groups/nothing/mute", {"up_to": 5}).status_code == 404


def test_mute_that_ends_too_far_ahead_is_refused_and_the_groups_can_still_be_shown(
    api: Api, store: Store
) -> None:
    told(store, failed())
    group = only_group(api)
    refused = api.post(f"/groups/{group}/mute", {"until": "9999-12-31T23:59:59-12:00"})
    assert problem(refused)["refused"] == "too_far"
    assert api.get(f"/groups/{group}").json()["state"] == "open"


def test_action_on_a_group_is_for_the_entries_it_has_now(api: Api, store: Store) -> None:
    told(store, failed("C001", 1), failed("C002", 2))
    done = api.post(f"/groups/{only_group(api)}/actions", {"action": "resolve"}).json()
    assert (done["done"], done["refused"]) == (2, 0)
    assert {entry.state for entry in entries(store)} == {"resolved"}


def test_job_is_started_looked_at_paused_resumed_and_cancelled(api: Api, store: Store) -> None:
    told(store, failed("C001", 1), failed("C002", 2))
    started = api.post("/replays", {"filter": {"code": ["too_long"]}})
    assert started.status_code == 201
    job = started.json()
    assert (job["total"], job["rate_per_s"], job["canaries"], job["what"]) == (2, 50, 10, "code too_long")
    assert [each["id"] for each in api.get("/replays").json()["jobs"]] == [job["id"]]
    items = api.get(f"/replays/{job['id']}/items", limit=1).json()
    assert (len(items["items"]), items["after"]) == (1, 0)
    for step, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        assert api.post(f"/replays/{job['id']}/{step}").json()["state"] == state
    assert problem(api.post(f"/replays/{job['id']}/resume"))["status"] == 409
    assert api.post("/replays/nothing/cancel").status_code == 404


def test_job_may_be_as_fast_as_possible_and_correct_values(api: Api, store: Store) -> None:
    told(store, failed())
    (entry,) = entries(store)
    wanted = {"ids": [entry.id], "rate_per_s": None, "corrections": {"name": "short"}}
    job = api.post("/replays", wanted).json()
    assert (job["rate_per_s"], job["corrected_fields"]) == (None, ["name"])
    assert "short" not in api.get(f"/replays/{job['id']}").text


@pytest.mark.parametrize(
    "value",
    ["NaN", "1.10", "1e3", "-Infinity", "1" + 70 * "0", '"\\ud800"', "[1]", "{}", f'"{"x" * 100_001}"'],
)
def test_corrected_value_that_would_not_arrive_as_it_was_sent_is_refused(
    api: Api, store: Store, value: str
) -> None:
    told(store, failed())
    body = f'{{"ids": ["{entries(store)[0].id}"], "corrections": {{"name": {value}}}}}'
    refused = api.client.post("/replays", content=body, headers={"Content-Type": "application/json"})
    (wrong,) = problem(refused)["wrong"]
    assert (refused.status_code, wrong["where"]) == (422, "corrections.name")
    assert api.get("/replays").json()["jobs"] == []


def test_corrected_values_arrive_as_they_were_sent(api: Api, store: Store) -> None:
    told(store, failed())
    values = {"name": "0.10", "limit": 2**63 - 1, "vip": True, "city": None}
    api.post("/replays", {"ids": [entries(store)[0].id], "corrections": values})
    with store.reading() as connection:
        kept = orjson.loads(connection.scalar(select(job.c.corrections)) or "{}")
    assert {field: orjson.loads(text) for field, text in kept.items()} == values


def test_job_without_entries_is_refused(api: Api, store: Store) -> None:
    told(store, failed())
    assert problem(api.post("/replays", {"filter": {"code": ["too_large"]}}))["status"] in (409, 422)


def test_verdicts_that_have_come_in_are_told(api: Api, store: Store) -> None:
    told(store, failed())
    (entry,) = entries(store)
    step = api.post(f"/entries/{entry.id}/actions", {"action": "replay"}).json()
    asked = {"replay_ids": [step["replay_id"]]}
    assert api.post("/replays/verdicts", asked).json() == []
    told(store, failed(attempt=2, replay_id=step["replay_id"]))
    (verdict,) = api.post("/replays/verdicts", asked).json()
    assert (verdict["verdict"], verdict["code"]) == ("failed_again", "too_long")


def test_status_says_what_is_there(api: Api, store: Store) -> None:
    told(store, failed("C001", 1), failed("C002", 2), resolved(failed("C002", 2)))
    status = api.get("/status").json()
    assert status["ready"]
    assert status["relevant"] == 1
    assert status["states"] == {"open": 1, "resolved": 1}


def test_quarantine_is_listed_for_viewers_and_its_bytes_are_for_admins(
    known_as: Callable[[Role], Api], store: Store
) -> None:
    (unreadable,) = records([failed()], 0)
    ingest(store, [replace(unreadable, value=b"\x00not an event")])
    viewer, admin = known_as(Role.VIEWER), known_as(Role.ADMIN)
    (message,) = viewer.get("/quarantine").json()["messages"]
    assert (message["offset"], message["bytes"]) == (0, 13)
    assert viewer.get(f"/quarantine/{message['id']}/value").status_code == 403
    value = admin.get(f"/quarantine/{message['id']}/value")
    assert (value.content, value.headers["content-type"]) == (b"\x00not an event", "application/octet-stream")
    assert admin.get("/quarantine/99/value").status_code == 404


def test_quarantine_has_pages(api: Api, store: Store) -> None:
    ingest(store, [replace(each, value=b"\x00") for each in records([failed("A", 1), failed("B", 2)], 0)])
    first = api.get("/quarantine", limit=1).json()
    second = api.get("/quarantine", limit=1, after=first["after"]).json()
    assert [each["offset"] for each in first["messages"] + second["messages"]] == [0, 1]
    assert second["after"] is None
    assert api.get("/quarantine", after="nonsense").status_code == 422


def test_what_is_cleared_is_in_an_archive_and_can_be_restored(api: Api, store: Store) -> None:
    told(store, failed("C001", 1), resolved(failed("C001", 1)), failed("C002", 2))
    plan = api.post("/archive/plan", {"include_open": True}).json()
    assert {each["state"]: each["entries"] for each in plan["tallies"]} == {"open": 1, "resolved": 1}
    done = api.post("/archive/clear", {}).json()
    assert (done["deleted"], done["changed"]) == (1, 0)
    (file,) = api.get("/archive").json()
    assert file["name"] == done["archive"]
    assert api.get(f"/archive/{file['name']}").json()["entries"] == 1
    assert api.post(f"/archive/{file['name']}/restore").json() == {"restored": 1, "existing": 0}
    assert {entry.record_id for entry in entries(store)} == {"C001", "C002"}


def test_without_a_folder_archives_are_kept_where_the_sink_runs(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told(store, failed(), resolved(failed()))
    url = store.engine.url.render_as_string(hide_password=False)
    with served(SinkSetup(tmp_path, "127.0.0.1:9", "errors", "g.replay", url, {}).config(), url) as running:
        name = Api(running.url).post("/archive/clear", {}).json()["archive"]
    assert (tmp_path / name).is_file()


def test_altered_archive_is_refused(api: Api, store: Store, tmp_path: Path) -> None:
    told(store, failed(), resolved(failed()))
    name = api.post("/archive/clear", {}).json()["archive"]
    file = tmp_path / "archive" / name
    file.write_bytes(file.read_bytes()[:-60] + b"x" * 60)
    refused = problem(api.post(f"/archive/{name}/restore"))
    assert (refused["status"], refused["type"]) == (409, "urn:instep:problem:archive")
    assert entries(store) == []


def test_archive_outside_of_the_folder_is_not_found(api: Api, tmp_path: Path) -> None:
    (tmp_path / "secret.avro").write_bytes(b"x")
    (tmp_path / "archive" / "link.avro").symlink_to(tmp_path / "secret.avro")
    for name in (
        "..%2Fsecret.avro",
        "%2e%2e%2fsecret.avro",
        "link.avro",
        ".avro",
        "a%00.avro",
        "..%5Csecret.avro",
    ):
        assert api.get(f"/archive/{name}").status_code in (404, 422), name
    assert api.get("/archive").json() == []


def test_audit_tells_who_did_what_through_what(known_as: Callable[[Role], Api], store: Store) -> None:
    told(store, failed())
    operator, admin = known_as(Role.OPERATOR), known_as(Role.ADMIN)
    (entry,) = entries(store)
    operator.post(f"/entries/{entry.id}/actions", {"action": "resolve"})
    (deed,) = admin.get("/audit", action="resolve").json()["deeds"]
    assert (deed["actor"], deed["via"], deed["what"], deed["count"], deed["outcome"]) == (
        "operator-token", "api", entry.id, 1, "done",
    )  # fmt: skip
    assert operator.get("/audit").status_code == 403
    first = admin.get("/audit", limit=1).json()
    assert admin.get("/audit", after=first["after"]).json()["deeds"][0]["id"] < first["deeds"][0]["id"]


def test_catalogue_explains_every_code(api: Api) -> None:
    assert "too_long" in {code["name"] for code in api.get("/catalogue").json()}
    assert api.get("/catalogue/too_long").json()["fixer"] == "user"
    assert api.get("/catalogue/nothing").status_code == 404


def test_token_is_made_shown_once_and_revoked(known_as: Callable[[Role], Api]) -> None:
    admin = known_as(Role.ADMIN)
    made = admin.post("/tokens", {"name": "grafana", "role": "viewer", "expires": "90d"})
    assert made.status_code == 201
    secret = made.json()["secret"]
    assert secret not in admin.get("/tokens").text
    someone = Api(admin.url, secret)
    assert someone.get("/entries").status_code == 200
    assert admin.post("/tokens/grafana/revoke").json()["state"] == "revoked"
    assert someone.get("/entries").status_code == 401
    someone.client.close()
    assert admin.post("/tokens/grafana/revoke").status_code == 409
