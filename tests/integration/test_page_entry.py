"""One entry: what happened, the change, the decisions, corrected values; and clearing."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from sqlalchemy import select

from sink.states import State
from sink.store.audit import read_audit
from sink.store.jobs import read_jobs
from sink.store.tables import job
from tests.browsing import Browser, Read
from tests.contract.stored import entries, only, told
from tests.page_world import failure, heard, many, original
from tests.sink_events import resolved
from tests.web import Served, served, sqlite_url


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Served]:
    with served(sqlite_url(tmp_path), {"sink.archive": str(tmp_path / "archive")}) as each:
        yield each


@pytest.fixture
def operator(sink: Served) -> Browser:
    return Browser(sink.signed_in("operator"))


@pytest.fixture
def admin(sink: Served) -> Browser:
    return Browser(sink.signed_in("admin"))


def entry_page(sink: Served, person: Browser) -> Read:
    return person.open(f"/entries/{only(sink.store).id}")


def test_an_entry_says_what_happened_why_and_what_to_do(sink: Served, operator: Browser) -> None:
    told(sink.store, failure())
    words = entry_page(sink, operator).words
    assert "A change of erp customers C001 could not be written to crm account" in words
    assert "Why: The target's column holds less text than the source's field." in words
    assert "Shorten the value in the source" in words
    assert "Nothing is lost" in words


def test_the_change_shows_each_field_before_and_after_and_says_which_differ(
    sink: Served, operator: Browser
) -> None:
    told(sink.store, failure())
    page = entry_page(sink, operator)
    assert "name failed changed Old & Sons Handelsmaatschappij Van der Meulen" in page.words
    assert "city Roma Roma credit_limit changed 100 250" in page.words


def test_a_viewer_sees_fields_without_values_and_no_bytes(sink: Served) -> None:
    told(sink.store, failure())
    viewer = Browser(sink.signed_in("viewer"))
    page = entry_page(sink, viewer)
    assert "name failed changed ••• •••" in page.words
    for secret in ("Old", "Handelsmaatschappij", "Roma", "250"):
        assert secret not in page.text
    assert "byte for byte" not in page.words
    assert "Deciding takes the role operator; yours is viewer." in page.words
    assert viewer.open(f"{page.address}/message").status == 403
    assert viewer.open(f"{page.address}/correct").status == 403


def test_an_admin_gets_the_message_byte_for_byte(sink: Served, admin: Browser) -> None:
    told(sink.store, failure())
    page = entry_page(sink, admin)
    assert '"Old & Sons"' in page.words
    answer = admin.client.get(f"{page.address}/message")
    assert answer.content == original().value
    assert answer.headers["content-disposition"].startswith("attachment")


def test_bytes_that_are_no_change_are_told_in_words(sink: Served, operator: Browser) -> None:
    told(sink.store, failure(original=original(before=None, after={"a": 1})), heard())
    told(sink.store, failure("C002", 2, "undecodable", original=None))
    gone = next(entry for entry in entries(sink.store) if entry.record_id == "C002")
    assert "The message of the change is not kept here" in operator.open(f"/entries/{gone.id}").words


def test_retry_sends_it_on_its_way_and_the_timeline_says_who(sink: Served, operator: Browser) -> None:
    told(sink.store, failure())
    page = operator.press(entry_page(sink, operator), "Retry")
    assert "It is on its way to a worker" in page.words
    assert "Replay asked for by operator-at-the-page" in page.words
    assert only(sink.store).state is State.REPLAYING
    assert "Not now: a replay is under way" in page.words
    assert "on its way" not in operator.open(page.address).words


def test_a_decision_about_an_entry_that_changed_meanwhile_is_refused(sink: Served, operator: Browser) -> None:
    told(sink.store, failure())
    page = entry_page(sink, operator)
    told(sink.store, failure(offset=1, at=datetime.now(UTC)))
    refused = operator.press(page, "Retry")
    assert "it changed in this moment; look at it again" in refused.words
    assert only(sink.store).state is State.OPEN


def test_an_app_that_is_paused_gets_no_replay(sink: Served, operator: Browser) -> None:
    told(sink.store, failure(), heard(paused_code="login_failed"))
    page = entry_page(sink, operator)
    assert "Not now: the target app is paused" in page.words
    assert not [form for form in page.forms if form.action.endswith("/retry")]


def test_discarding_an_entry_keeps_reason_and_person(sink: Served, operator: Browser) -> None:
    told(sink.store, failure())
    page = operator.press(entry_page(sink, operator), "Discard this entry", reason="<i>a double</i>")
    assert "1 entry discarded." in page.words
    assert "<i>a double</i>" in page.words
    assert "<i>" not in page.text
    assert "Nothing is left to decide" in page.words


def test_an_entry_that_is_over_says_how_it_ended(sink: Served, operator: Browser) -> None:
    event = failure()
    told(sink.store, event, resolved(event))
    words = entry_page(sink, operator).words
    assert "Resolved by a newer change of the record" in words


def test_corrected_values_show_the_difference_before_they_are_sent(sink: Served, operator: Browser) -> None:
    told(sink.store, failure())
    form = operator.open(f"/entries/{only(sink.store).id}/correct")
    look = operator.press(
        form, "Show the difference", ticked=["city"], field__name="Van der Meulen", field__credit_limit="200"
    )
    assert "name Handelsmaatschappij Van der Meulen Van der Meulen" in look.words
    assert "credit_limit 250 200" in look.words
    assert "city Roma no value" in look.words
    done = operator.press(look, "Retry with 3 corrected values")
    assert "with the corrected values" in done.words
    with sink.store.reading() as connection:
        (made,) = read_jobs(connection)
        sent = orjson.loads(connection.scalar(select(job.c.corrections)) or "{}")
        deeds = read_audit(connection, None, 10)
    assert made.corrected_fields == ("city", "credit_limit", "name")
    assert sent == {"city": "null", "credit_limit": "200", "name": '"Van der Meulen"'}
    assert "Meulen" not in str(deeds)


def test_corrected_values_that_are_none_are_not_sent(sink: Served, operator: Browser) -> None:
    told(sink.store, failure())
    form = operator.open(f"/entries/{only(sink.store).id}/correct")
    assert "Nothing differs" in operator.press(form, "Show the difference").words


def test_a_number_that_json_does_not_know_is_corrected_as_text(sink: Served, operator: Browser) -> None:
    told(sink.store, failure())
    form = operator.open(f"/entries/{only(sink.store).id}/correct")
    look = operator.press(form, "Show the difference", field__credit_limit="NaN")
    operator.press(look, "Retry with 1 corrected value")
    with sink.store.reading() as connection:
        sent = orjson.loads(connection.scalar(select(job.c.corrections)) or "{}")
    assert sent == {"credit_limit": '"NaN"'}


def test_the_key_of_a_record_cannot_be_corrected(sink: Served, operator: Browser) -> None:
    told(sink.store, failure())
    form = operator.open(f"/entries/{only(sink.store).id}/correct")
    assert [name for name, _ in form.form("Show the difference").fields if name.startswith("field.")] == [
        "field.name",
        "field.city",
        "field.credit_limit",
    ]


def test_a_deletion_offers_no_values_to_correct(sink: Served, operator: Browser) -> None:
    told(sink.store, failure(original=original(after=None, op="d")))
    page = entry_page(sink, operator)
    assert "The record was deleted." in page.words
    assert f"{page.address}/correct" not in page.links()
    assert operator.open(f"{page.address}/correct").status == 422


def test_there_is_a_page_for_an_entry_that_is_not_there(operator: Browser) -> None:
    page = operator.open("/entries/0123456789abcdef")
    assert page.status == 404
    assert "There is no such entry" in page.words


def closed_and_open(sink: Served) -> None:
    gone = failure("gone", 900)
    old = failure("old", 901)
    long_ago = datetime.now(UTC) - timedelta(days=8)
    told(sink.store, gone, resolved(gone), old, failure("C001", 1))
    # closed eight days ago
    told(
        sink.store, resolved(old, seconds=(long_ago - datetime(2026, 11, 1, 12, tzinfo=UTC)).total_seconds())
    )


def left(sink: Served) -> set[str]:
    return {entry.record_id for entry in entries(sink.store)}


def test_delete_entries_older_than_7_days_asks_and_archives(
    sink: Served, admin: Browser, tmp_path: Path
) -> None:
    closed_and_open(sink)
    asked = admin.press(admin.open("/clear"), "Delete entries older than 7 days")
    assert "1 entry closed" in asked.words
    assert left(sink) == {"gone", "old", "C001"}
    done = admin.press(asked, "Delete 1 entry")
    assert "1 entry deleted, and kept in instep-errors-" in done.words
    assert left(sink) == {"gone", "C001"}
    (file,) = (tmp_path / "archive").glob("*.avro")
    assert admin.client.get(f"/clear/archives/{file.name}").content == file.read_bytes()


def test_delete_all_entries_leaves_what_is_still_relevant(sink: Served, admin: Browser) -> None:
    closed_and_open(sink)
    asked = admin.press(admin.open("/clear"), "Delete all entries")
    assert "What is still relevant stays." in asked.words
    admin.press(asked, "Delete 2 entries")
    assert left(sink) == {"C001"}


def test_what_is_still_relevant_goes_only_when_it_was_seen(sink: Served, admin: Browser) -> None:
    closed_and_open(sink)
    asked = admin.press(admin.open("/clear"), "Delete all entries", ticked=["yes"])
    assert "1 entry still relevant State Category Entries Newest failed open data 1 5 min ago" in asked.words
    assert "Nothing was deleted" in admin.press(asked, "Delete 3 entries").words
    assert left(sink) == {"gone", "old", "C001"}
    told(sink.store, failure("late", 5, at=datetime.now(UTC) + timedelta(minutes=1)))
    admin.press(asked, "Delete 3 entries", ticked=["yes"])
    assert left(sink) == {"late"}


def test_what_failed_before_the_question_and_came_after_it_stays(sink: Served, admin: Browser) -> None:
    told(sink.store, failure("old", 1, at=datetime.now(UTC) - timedelta(days=5)))
    asked = admin.press(admin.open("/clear"), "Delete all entries", ticked=["yes"])
    told(sink.store, failure("late", 2))
    admin.press(asked, "Delete 1 entry", ticked=["yes"])
    assert left(sink) == {"late"}


def test_clearing_says_what_it_left_alone_and_why(sink: Served, admin: Browser) -> None:
    told(sink.store, failure())
    admin.press(entry_page(sink, admin), "Discard this entry", reason="a double")
    asked = admin.press(admin.open("/clear"), "Delete all entries")
    done = admin.press(asked, "Delete 1 entry")
    assert "Nothing was deleted. 1 entry left alone: the worker has not been told yet" in done.words
    assert left(sink) == {"C001"}


def test_a_kept_archive_and_a_sent_one_bring_entries_back(
    sink: Served, admin: Browser, tmp_path: Path
) -> None:
    closed_and_open(sink)
    admin.press(admin.press(admin.open("/clear"), "Delete all entries"), "Delete 2 entries")
    page = admin.press(admin.open("/clear"), "Restore")
    assert "2 entries restored." in page.words
    assert left(sink) == {"gone", "old", "C001"}
    (file,) = (tmp_path / "archive").glob("*.avro")
    sent = admin.press(page, "Restore this archive", files={"archive": ("mine.avro", file.read_bytes())})
    assert "0 entries restored. 2 entries stood in the list already" in sent.words


@pytest.mark.parametrize("content", [b"nonsense", b""])
def test_a_file_that_is_no_archive_restores_nothing(admin: Browser, content: bytes) -> None:
    page = admin.press(admin.open("/clear"), "Restore this archive", files={"archive": ("x.avro", content)})
    assert "x.avro is no archive of Instep" in page.words
    assert "instep-" not in page.words  # the folder that it was put into for a moment


def test_only_files_of_the_archive_folder_can_be_taken(admin: Browser, tmp_path: Path) -> None:
    (tmp_path / "secret.avro").write_bytes(b"secret")
    for name in ("..%2fsecret.avro", "%2e%2e%2fsecret.avro", ".hidden.avro", "nope.avro", "sink.db"):
        assert admin.open(f"/clear/archives/{name}").status == 404


def test_clearing_is_for_admins(sink: Served, operator: Browser) -> None:
    many(sink.store, 1)
    for address in ("/clear", "/clear/preview"):
        assert operator.open(address).status == 403
    csrf = re.search(r'name="csrf" value="([^"]+)"', operator.open("/records").text)
    assert csrf is not None
    answer = operator.client.post(
        "/clear/upload", data={"csrf": csrf[1]}, files={"archive": ("x.avro", b"x")}
    )
    assert answer.status_code == 403
