"""`instep errors …` on a SQLite store, in one process, and through a served sink: what it prints, asks and ends with."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner, Result

from instep.errors import app
from schemas.events import Event, Resolution
from sink.store.migrate import upgrade
from sink.store.store import Store, open_store
from tests.contract.stored import entries, told
from tests.integration.sink_running import SinkSetup
from tests.services.process import free_port
from tests.sink_events import failed, resolved
from tests.web_serving import served


class Desk:
    """A person at the command line, with a store that holds some entries."""

    def __init__(self, folder: Path) -> None:
        self.store_url = f"sqlite:///{folder}/sink.db"
        self.folder = folder
        settings: dict[str, object] = {"archive": str(folder)}
        self.setup = SinkSetup(folder, "127.0.0.1:9", "errors", "g.replay", self.store_url, settings)
        self.config = self.setup.write(free_port())
        self.store: Store = open_store(self.store_url)
        self.way = ["-c", str(self.config)]

    def has(self, *events: Event) -> None:
        """Put entries into the store."""
        upgrade(self.store.engine)
        told(self.store, *events)

    def types(self, *words: str, answer: str | None = None) -> Result:
        """Run a command."""
        return CliRunner().invoke(app, [*words, *self.way], input=answer)

    def states(self) -> list[str]:
        """The states of the entries, by record."""
        return [str(entry.state) for entry in sorted(entries(self.store), key=lambda e: e.record_id)]


@pytest.fixture(params=["store", "http"])
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """The same person, working on the store or through the sink: the same output."""
    person = Desk(tmp_path)
    if request.param == "store":
        yield person
        return
    with served(person.setup.config(), person.store_url) as sink:
        person.way = ["--url", sink.url]
        yield person


@pytest.fixture
def at_store(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def lines(result: Result) -> list[dict[str, object]]:
    return [orjson.loads(each) for each in result.stdout.splitlines()]


def test_list_shows_what_is_wrong_the_last_failed_first(desk: Desk) -> None:
    done = failed("C003", 3)
    desk.has(failed("C001", 1), failed("C002", 2), done, resolved(done))
    result = desk.types("list", "--json")
    assert result.exit_code == 0
    assert [each["record_id"] for each in lines(result)] == ["C002", "C001"]


def test_json_has_the_fields_that_programs_rely_on(desk: Desk) -> None:
    desk.has(failed("C001", 5))
    (entry,) = lines(desk.types("list", "--json"))
    assert {
        "id", "mapping", "direction", "record_id", "category", "code", "state", "message", "count",
        "first_failed_at", "last_failed_at", "resolved_by", "source", "target",
    } <= entry.keys()  # fmt: skip
    assert entry["source"] == {
        "app": "erp", "entity": "customers", "record_id": "C001", "link": "https://erp.example/C001",
        "topic": "erp.customers", "partition": 0, "offset": 5,
    }  # fmt: skip
    assert entry["target"] == {"app": "crm", "entity": "account", "record_id": "C001", "link": None}
    assert entry["first_failed_at"] == "2026-11-01T12:00:05.010Z"


def test_healed_entries_are_listed_when_asked_for(desk: Desk) -> None:
    desk.has(failed(), resolved(failed(), Resolution.RELEASED))
    assert lines(desk.types("list", "--json")) == []
    (entry,) = lines(desk.types("list", "--state", "resolved", "--json"))
    assert entry["resolved_by"] == "released"


def test_pages_follow_each_other(desk: Desk) -> None:
    desk.has(*(failed(f"C{n}", n) for n in range(5)))
    first = desk.types("list", "--limit", "3", "--json")
    page = first.stderr.split("--after ")[1].strip()
    second = desk.types("list", "--limit", "3", "--after", page, "--json")
    assert [each["record_id"] for each in lines(first) + lines(second)] == ["C4", "C3", "C2", "C1", "C0"]


def test_terminal_obeys_nothing_that_an_event_says(desk: Desk) -> None:
    desk.has(failed("C\x1b[2J1", message="evil \x1b]0;title\x07 \u202etext"))
    entry = entries(desk.store)[0]
    for words in (("list",), ("show", entry.id, "--message"), ("list", "--json"), ("export",)):
        output = desk.types(*words).output
        assert "\x1b" not in output
        assert "\u202e" not in output


def test_show_says_what_happened_and_what_to_do(desk: Desk) -> None:
    desk.has(failed())
    result = desk.types("show", entries(desk.store)[0].id[:6])
    assert result.exit_code == 0
    for told_ in ("longer than the 50 characters", "erp customers C001", "crm account C001", "1. "):
        assert told_ in result.stdout
    assert '{"number"' not in result.stdout


def test_show_gives_the_message_when_asked(desk: Desk) -> None:
    desk.has(failed())
    assert '{"number":"C001"}' in desk.types("show", entries(desk.store)[0].id, "--message").stdout


@pytest.mark.parametrize(
    ("words", "told_"),
    [
        (("list", "--state", "opne"), 'did you mean "open"'),
        (("list", "--code", "nonsense"), "instep explain"),
        (("list", "--older-than", "soon"), "7d"),
        (("replay",), "name the entries"),
        (("show", "zz"), "at least its first 4"),
        (("replay", "--state", "open", "--set", "name=\udce9"), "no UTF-8 text"),
        (("export", "--format", "xml"), "jsonl or csv"),
    ],
)
def test_wrong_use_ends_with_two_and_a_hint(desk: Desk, words: tuple[str, ...], told_: str) -> None:
    desk.has(failed())
    result = desk.types(*words)
    assert result.exit_code == 2
    assert told_.lower() in result.stderr.lower()


def test_store_that_is_not_there_is_said_and_not_made(at_store: Desk) -> None:
    result = at_store.types("list")
    assert "there is no sink store" in str(result.exception)
    assert not (at_store.folder / "sink.db").exists()


def test_resolve_asks_and_says_what_it_did(desk: Desk) -> None:
    desk.has(failed("C001", 1), failed("C002", 2))
    assert (
        desk.types("resolve", "--record", "C001", "--yes", "--reason", "by hand").stdout
        == "1 entry resolved.\n"
    )
    assert desk.states() == ["resolved", "open"]


def test_destructive_command_without_anybody_to_ask_changes_nothing(desk: Desk) -> None:
    desk.has(failed())
    result = desk.types("discard", "--mapping", "customers")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert desk.states() == ["open"]


def test_dry_run_says_what_would_be_done(desk: Desk) -> None:
    desk.has(failed("C001", 1), failed("C002", 2))
    result = desk.types("discard", "--mapping", "customers", "--dry-run")
    assert "Would discard 2 entries" in result.stdout
    assert desk.states() == ["open", "open"]


def test_refused_step_says_why_and_ends_with_one(desk: Desk) -> None:
    desk.has(failed(), resolved(failed()))
    result = desk.types("replay", entries(desk.store)[0].id)
    assert result.exit_code == 1
    assert "it is closed already" in result.stdout


def test_replay_of_an_entry_that_is_not_there_is_refused_at_any_rate(desk: Desk) -> None:
    desk.has(failed())
    for words in ((), ("--rate", "5"), ("--wait", "--canaries", "0")):
        refused = desk.types("replay", "0" * 16, *words)
        assert (refused.exit_code, "there is no such entry" in refused.stdout + refused.stderr) == (1, True)


@pytest.mark.parametrize("secret", ["instep_é", "in\nstep", "a\x00", " "])
def test_token_that_can_be_none_is_refused_with_two(
    at_store: Desk, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    file = at_store.folder / "token"
    file.write_text(secret, encoding="utf-8")
    at_store.way = ["--url", "http://127.0.0.1:9", "--token-file", str(file)]
    refused = at_store.types("list")
    assert (refused.exit_code, "holds no token" in refused.stderr) == (2, True)
    monkeypatch.setenv("INSTEP_TOKEN", "instep_é")
    at_store.way = ["--url", "http://127.0.0.1:9"]
    refused = at_store.types("list")
    assert (refused.exit_code, "INSTEP_TOKEN holds no token" in refused.stderr) == (2, True)


def test_clear_and_restore_by_the_command_that_clear_tells(desk: Desk) -> None:
    desk.has(failed("C001", 1), resolved(failed("C001", 1)), failed("C002", 2))
    cleared = desk.types("clear", "--yes")
    assert cleared.exit_code == 0
    assert desk.states() == ["open"]
    words = cleared.stdout.splitlines()[-1].partition("instep errors ")[2].split()
    assert desk.types(*words).stdout == "1 restored.\n"
    assert desk.states() == ["resolved", "open"]


def test_clear_with_open_ones_shows_what_is_still_relevant(desk: Desk) -> None:
    desk.has(failed("C001", 1), resolved(failed("C001", 1)), failed("C002", 2))
    result = desk.types("clear", "--include-open", "--dry-run")
    assert "STILL RELEVANT" in result.stdout
    assert desk.states() == ["resolved", "open"]


def test_clear_leaves_alone_what_failed_after_it_asked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.has(failed("C001", 1))

    def say_yes_when_more_failed(_question: str) -> bool:
        desk.has(failed("C002", 2))
        return True

    monkeypatch.setattr("instep.errors_acting.ask", say_yes_when_more_failed)
    assert "1 deleted" in desk.types("clear", "--include-open").stdout
    assert [entry.record_id for entry in entries(desk.store)] == ["C002"]


def test_clear_that_leaves_everything_alone_says_why_and_ends_with_one(desk: Desk) -> None:
    desk.has(failed())
    desk.types("discard", "--record", "C001", "--reason", "a double", "--yes")
    cleared = desk.types("clear", "--yes")
    assert "1 left alone: the worker has not been told yet" in cleared.stdout
    assert cleared.exit_code == 1
    assert desk.states() == ["discarded"]


def test_altered_archive_is_refused_with_one(desk: Desk) -> None:
    desk.has(failed(), resolved(failed()))
    told_ = desk.types("clear", "--yes").stdout.splitlines()[-1].partition("restore ")[2]
    (file,) = desk.folder.glob("*.avro")
    file.write_bytes(file.read_bytes()[:-60] + b"x" * 60)
    result = desk.types("restore", told_)
    assert result.exit_code == 1
    assert "altered" in result.stderr


def test_export_as_csv_has_a_line_an_entry_and_no_formula(desk: Desk) -> None:
    desk.has(failed("=1+1", 1), failed("C002", 2))
    desk.types("export", str(desk.folder / "e.csv"), "--format", "csv")
    rows = list(csv.reader(io.StringIO((desk.folder / "e.csv").read_text())))
    assert [row[3] for row in rows] == ["record_id", "C002", "'=1+1"]
