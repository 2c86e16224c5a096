"""Overview, the lists and the actions on many entries, as a browser without JavaScript has them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from schemas.events import RecordReference
from sink.states import State
from sink.store.entries import Filter, read_page
from sink.store.job_items import read_items
from sink.store.jobs import read_jobs
from tests.browsing import Browser
from tests.contract.stored import entries, only, told
from tests.page_world import failure, heard, many
from tests.sink_events import resolved
from tests.web import Served, served, sqlite_url

EVIL = "<script>alert(1)</script><b>\x1b[31m\u202etxt\u0000"


@pytest.fixture(params=["sqlite", "postgresql"])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    url = sqlite_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("pg_database")
    with served(url) as each:
        yield each


@pytest.fixture
def person(sink: Served) -> Browser:
    return Browser(sink.signed_in("operator"))


def shown(page_words: str, *records: str) -> list[str]:
    return [record for record in records if record in page_words]


def test_overview_says_that_nothing_is_wrong_and_that_the_path_is_alive(
    sink: Served, person: Browser
) -> None:
    told(sink.store, heard())
    words = person.open("/").words
    assert "Nothing is wrong." in words
    assert "No change has ever failed here." in words
    assert "1 worker seen" in words


def test_overview_tells_silence_from_health(person: Browser) -> None:
    words = person.open("/").words
    assert "No worker was heard of yet" in words
    assert "silence is not health" in words


def test_overview_says_whose_it_is_and_every_number_is_a_link(sink: Served, person: Browser) -> None:
    told(
        sink.store,
        heard(),
        failure("C001", 1),
        failure("C002", 2),
        failure("C003", 3, "undecodable"),
        failure("C004", 4, "parent_not_coupled", retry_at=datetime.now(UTC) + timedelta(hours=1)),
    )
    page = person.open("/")
    assert "2 record errors and 1 setup error wait for somebody." in page.words
    assert "1 healing" in page.words
    assert {"/records", "/setup", "/entries?state=waiting", "/entries?newer_than=24h", "/status"} <= set(
        page.links()
    )
    for address in {link for link in page.links() if link.startswith("/")}:
        assert person.open(address).status == 200, address


def test_a_paused_app_stands_on_every_page_with_the_way_to_fix_it(sink: Served, person: Browser) -> None:
    app = failure("crm", 0, "password_expired", mapping="*", parameters={}, position=None, original=None)
    told(sink.store, app, heard(paused_code="password_expired", lag_records=41207))
    for address in ("/", "/records", "/codes"):
        page = person.open(address)
        assert "crm is paused: The password expires, since 5 min ago." in page.words
        assert "customers waits with 41,207 changes; none is lost." in page.words
    (entry,) = entries(sink.store)
    assert f"/entries/{entry.id}" in page.links()


def test_record_errors_and_setup_errors_are_told_apart(sink: Served, person: Browser) -> None:
    told(sink.store, failure("C001", 1), failure("S001", 2, "undecodable"))
    assert shown(person.open("/records").words, "C001", "S001") == ["C001"]
    assert shown(person.open("/setup").words, "C001", "S001") == ["S001"]
    assert shown(person.open("/entries").words, "C001", "S001") == ["C001", "S001"]


def test_an_entry_that_healed_is_shown_only_when_asked_for(sink: Served, person: Browser) -> None:
    gone = failure("C001", 1)
    told(sink.store, gone, resolved(gone))
    assert "No record waits for the person who owns it." in person.open("/records").words
    assert "C001" in person.open("/records?state=resolved").words


def test_filters_narrow_the_list_and_a_chip_takes_one_away(sink: Served, person: Browser) -> None:
    told(sink.store, failure("C001", 1), failure("C002", 2, "required_missing"))
    page = person.press(person.open("/records"), "Show", code="required_missing")
    assert shown(page.words, "C001", "C002") == ["C002"]
    (chip,) = [link for link in page.links() if link == "/records" and "required_missing" in page.words][:1]
    assert shown(person.open(chip).words, "C001", "C002") == ["C001", "C002"]


def test_the_filter_form_keeps_every_filter_that_is_in_force(person: Browser) -> None:
    asked = (
        "/entries?mapping=gone&mapping=customers&category=data&category=setup&code=too_long&newer_than=3600s"
        "&older_than=1h&record=C001&record=C002&text=x&state=open&state=waiting"
    )
    shown = person.press(person.open(asked), "Show")
    assert sorted(parse_qsl(urlsplit(shown.address).query)) == sorted(parse_qsl(urlsplit(asked).query))


def test_mappings_of_dead_letters_can_be_filtered_by(tmp_path: Path) -> None:
    letters = [{"topic": "orders-dlq", "mapping": "orders"}]
    with served(sqlite_url(tmp_path), {"sink.foreign": letters}) as sink:
        page = Browser(sink.signed_in("operator")).open("/entries")
    assert "orders" in [each["value"] for name, each in page.elements if name == "option"]


def test_search_finds_by_record_and_message_and_the_id_opens_the_entry(sink: Served, person: Browser) -> None:
    told(sink.store, failure("C001", 1), failure("C777", 2))
    page = person.open("/entries?text=C777")
    assert shown(page.words.partition("Not closed")[2], "C001", "C777") == ["C777"]
    (found,) = [entry for entry in entries(sink.store) if entry.record_id == "C777"]
    assert person.open(f"/entries?text={found.id}").address == f"/entries/{found.id}"


@pytest.mark.parametrize(
    "query", ["sort=1", "state=gone", "code=%00", "newer_than=-1", "after=x", "mapping=" + "x" * 600]
)
def test_a_filter_that_makes_no_sense_is_told_in_words(person: Browser, query: str) -> None:
    page = person.open(f"/records?{query}")
    assert page.status == 422
    assert "Something in the request is wrong" in page.words


@pytest.mark.parametrize(
    "address",
    [
        *("/?days=1", "/groups?code=too_long", "/replays?state=done", "/status?mapping=x", "/codes?x=1"),
        *("/records?text=%00", "/groups?mapping=%00", "/entries/%00", "/groups/%00", "/replays/%00"),
    ],
)
def test_an_address_that_no_page_has_is_told_in_words(person: Browser, address: str) -> None:
    page = person.open(address)
    assert (page.status, "Something in the request is wrong" in page.words) == (422, True)


def test_nul_in_a_form_is_told_in_words(sink: Served, person: Browser) -> None:
    many(sink.store, 1)
    (entry,) = entries(sink.store)
    page = person.open(f"/entries/{entry.id}")
    listed = person.open("/records")
    group = person.open(f"/groups/{entry.group_id}")
    asked = person.press(listed, "Resolve selected…", ticked=[entry.id])
    for told_ in (
        person.press(page, "Discard this entry", reason="a\x00b"),
        person.press(group, "Resolve 1 entry", reason="a\x00b"),
        person.press(asked, "Resolve 1 entry", reason="a\x00b"),
        person.press(listed, "Resolve all that match…", back="/records?text=%00"),
    ):
        assert (told_.status, "Something in the request is wrong" in told_.words) == (422, True)
    assert only(sink.store).state is State.OPEN


def test_pages_follow_each_other_without_gap_or_repeat(sink: Served, person: Browser) -> None:
    many(sink.store, 230)
    seen: list[str] = []
    address: str | None = "/records"
    while address:
        page = person.open(address)
        seen += [a["value"] or "" for name, a in page.elements if name == "input" and a.get("name") == "id"]
        address = next(
            (a["href"] for name, a in page.elements if name == "a" and a.get("rel") == "next"), None
        )
    with sink.store.reading() as connection:
        assert seen == [entry.id for entry in read_page(connection, Filter(), limit=500)]


def test_text_of_events_is_inert_in_every_field(sink: Served, person: Browser) -> None:
    told(
        sink.store,
        failure(
            EVIL,
            1,
            message=EVIL,
            mapping=EVIL,
            code=EVIL,
            category=EVIL,
            worker=EVIL,
            version=EVIL,
            exception_type=EVIL,
            top_frame=EVIL,
            trace=EVIL,
            parameters={"field": EVIL},
            source=RecordReference(EVIL, EVIL, EVIL, f"https://erp.example/{EVIL}"),
            target=RecordReference(EVIL, EVIL, EVIL, "javascript:alert(1)"),
            waits_for=RecordReference(EVIL, EVIL, EVIL),
        ),
    )
    (entry,) = entries(sink.store)
    group = f"/groups/{entry.group_id}"
    for address in (
        "/",
        "/setup",
        "/entries",
        f"/entries/{entry.id}",
        "/groups",
        group,
        f"/entries?text={entry.id[:4]}",
    ):
        page = person.open(address)
        assert page.status == 200, address
        scripts = [a for name, a in page.elements if name == "script"]
        assert all((a.get("src") or "").startswith("/static/") for a in scripts)
        assert not [name for name, _ in page.elements if name == "b"]
        assert not [c for c in page.text if c in "\x1b\u202e\x00"], address
        assert not [link for link in page.links() if link.startswith("javascript") or "<" in link]


def test_only_addresses_of_the_web_become_links(sink: Served, person: Browser) -> None:
    links = (
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "//erp.example/1",
        "https://erp.example/C5",
    )
    for number, link in enumerate(links):
        source = RecordReference("erp", "customers", f"C{number}", link)
        told(sink.store, failure(f"C{number}", number, source=source))
    outside = [link for link in person.open("/records").links() if not link.startswith(("/", "#"))]
    assert outside == ["https://erp.example/C5"]


def test_what_is_selected_is_replayed_as_a_job(sink: Served, person: Browser) -> None:
    many(sink.store, 3)
    ids = [entry.id for entry in entries(sink.store)]
    page = person.press(person.open("/records"), "Replay selected", ticked=ids[:2])
    assert "The replay of 2 entries has begun." in page.words
    with sink.store.reading() as connection:
        (job,) = read_jobs(connection)
        items = read_items(connection, job.id)
    assert page.address == f"/replays/{job.id}"
    assert (job.named, {item.entry_id for item in items}) == (True, set(ids[:2]))


def test_nothing_selected_says_so(sink: Served, person: Browser) -> None:
    many(sink.store, 1)
    page = person.press(person.open("/records"), "Replay selected")
    assert "Select at least one entry first." in page.words


def test_discarding_asks_first_and_wants_a_reason(sink: Served, person: Browser) -> None:
    many(sink.store, 3)
    ids = [entry.id for entry in entries(sink.store)]
    asked = person.press(person.open("/records?mapping=customers"), "Discard selected…", ticked=ids[:2])
    assert "Discard 2 entries?" in asked.words
    assert {entry.state for entry in entries(sink.store)} == {State.OPEN}
    refused = person.press(asked, "Discard 2 entries", reason=" ")
    assert "Nothing was discarded" in refused.words
    done = person.press(asked, "Discard 2 entries", reason="doubles")
    assert "2 entries discarded." in done.words
    assert done.address == "/records?mapping=customers"
    closed = [entry for entry in entries(sink.store) if entry.state is State.DISCARDED]
    assert {(entry.id, entry.reason, entry.closed_by) for entry in closed} == {
        (each, "doubles", "operator-at-the-page") for each in ids[:2]
    }


def test_all_that_match_are_frozen_at_the_moment_they_were_looked_at(sink: Served, person: Browser) -> None:
    many(sink.store, 120)
    told(sink.store, failure("other", 500, "required_missing"))
    asked = person.press(person.open("/records?code=too_long"), "Replay all that match…")
    assert "Replay 120 entries?" in asked.words
    told(sink.store, failure("late", 501, at=datetime.now(UTC) + timedelta(seconds=30)))
    begun = person.press(asked, "Replay 120 entries", rate="7", canaries="3")
    assert "The replay of 120 entries has begun." in begun.words
    with sink.store.reading() as connection:
        (job,) = read_jobs(connection)
    assert (job.total, job.rate_per_s, job.canaries, job.named) == (120, 7, 3, False)


def test_a_viewer_sees_the_list_and_no_action(sink: Served) -> None:
    many(sink.store, 1)
    client = sink.signed_in("viewer")
    page = Browser(client).open("/records")
    assert "C000" in page.words
    assert not [form for form in page.forms if form.action.startswith("/entries/act")]
    assert client.post("/entries/act", data={"act": "replay"}).status_code == 403


def test_there_is_a_page_for_what_is_not_there(person: Browser) -> None:
    page = person.open("/nowhere")
    assert page.status == 404
    assert "There is no such page" in page.words
    assert "/" in page.links()


def test_a_store_that_is_away_is_told_with_what_becomes_of_the_failures(tmp_path: Path) -> None:
    with served(f"sqlite:///{tmp_path}/missing/sink.db", prepared=False) as sink:
        page = Browser(sink.client()).open("/records")
    assert page.status == 503
    assert "The list cannot be read at the moment" in page.words
    assert "Nothing is lost: failures wait in Kafka" in page.words


def test_overview_tells_what_came_since_the_last_visit(sink: Served) -> None:
    first = sink.signed_in("operator")
    assert "Since your last visit" not in Browser(first).open("/").words
    sink.clock.go_on(timedelta(hours=2))
    told(sink.store, failure("C001", 1))
    words = Browser(first).open("/").words
    assert "Since your last visit 2 h ago:" in words
