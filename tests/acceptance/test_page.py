"""The pages in a real browser, with the whole system behind them: the story of a Monday, and how every page behaves."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, ConsoleMessage, FloatRect, Page, ViewportSize, expect

from tests.acceptance.hands import Hand, Keyboard, Mouse
from tests.acceptance.monday import (
    CAUSES,
    NO_DATE,
    NO_EMAIL,
    NO_QUANTITY,
    NO_SUCH_CREDIT,
    OPEN,
    TOO_LONG,
    Monday,
    monday,
)
from tests.services.kafka import Kafka
from tests.services.postgres import Postgres

WIDE, PHONE = ViewportSize(width=1280, height=800), ViewportSize(width=390, height=800)
LOOKS: tuple[tuple[Literal["light", "dark"], ViewportSize], ...] = (
    ("light", WIDE),
    ("dark", WIDE),
    ("light", PHONE),
    ("dark", PHONE),
)
NOT_THERE = "/nowhere"
AXE = """options => axe.run(document, options).then(
    ({violations}) => violations.map(each => `${each.id}: ${each.help}: ${each.nodes[0].target}`))"""
PATIENCE_MS = 20_000


@dataclass(frozen=True, slots=True)
class Shot:
    """A page to look at; `in_docs`: the documentation shows it."""

    name: str
    path: str
    in_docs: bool = False


@pytest.fixture(scope="module")
def morning(
    browser: Browser, kafka: Kafka, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Monday]:
    expect.set_options(timeout=PATIENCE_MS)
    with monday(tmp_path_factory.mktemp("monday"), kafka, postgres) as found:
        yield found


@contextmanager
def opened(browser: Browser, morning: Monday, **options: Any) -> Iterator[Page]:
    """A page of a browser that has never been here; fails at the end if the browser complained of anything."""
    context = browser.new_context(base_url=morning.url, viewport=WIDE, **options)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    complaints: list[str] = []

    def hear(said: ConsoleMessage) -> None:
        if said.type == "error" and not said.location["url"].endswith(NOT_THERE):
            complaints.append(said.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    try:
        yield page
        assert complaints == []
    finally:
        context.close()


@pytest.mark.parametrize("hand_of", [Mouse, Keyboard])
def test_from_many_open_entries_to_the_empty_list(
    morning: Monday, browser: Browser, hand_of: type[Mouse] | type[Keyboard]
) -> None:
    morning.come()
    with opened(browser, morning) as page:
        hand = hand_of(page)
        page.goto("/")
        expect(page.get_by_role("link", name=f"{OPEN} record errors", exact=True)).to_be_visible()
        expect(page.locator("[data-row]")).to_have_count(len(CAUSES))

        find_the_first_cause(hand)
        replay_before_the_repair(hand)
        morning.widen()
        replay_after_the_repair(hand)
        assert len(morning.crm.rows("select 1 from customers where length(name) > 20")) == TOO_LONG.records

        resolve_a_group(hand)
        discard_a_group(hand)
        discard_what_is_selected(hand)
        clear_the_rest(hand)
        hand.go("Overview")
        expect(page.get_by_role("heading", name="Nothing is open")).to_be_visible()
    assert morning.open_entries() == []


def find_the_first_cause(hand: Hand) -> None:
    hand.go("Groups")
    expect(hand.page.locator("[data-row]")).to_have_count(len(CAUSES))
    hand.open_row(TOO_LONG.title)
    expect(hand.page.get_by_role("heading", level=1)).to_have_text(TOO_LONG.title)


def replay_before_the_repair(hand: Hand) -> None:
    hand.press(hand.page.get_by_role("button", name=f"Replay all {TOO_LONG.records}"))
    # nothing is loaded anew from here on: the part of the page is live
    expect(hand.page.get_by_text("stopped itself")).to_be_visible()
    expect(hand.page.get_by_text("10 failed again")).to_be_visible()


def replay_after_the_repair(hand: Hand) -> None:
    hand.press(hand.page.get_by_role("button", name=f"Replay all {TOO_LONG.records}"))
    expect(hand.page.get_by_text(f"{TOO_LONG.records} of {TOO_LONG.records} resolved")).to_be_visible()
    expect(hand.page.get_by_role("heading", name="All of its entries are closed")).to_be_visible()


def resolve_a_group(hand: Hand) -> None:
    number = NO_EMAIL.records
    hand.go("Groups")
    expect(hand.page.locator("[data-row]")).to_have_count(len(CAUSES) - 1)
    hand.open_row(NO_EMAIL.title)
    hand.press(hand.page.get_by_text(f"Resolve all {number}…"))
    hand.fill(hand.page.get_by_label("Reason (optional)"), "entered by hand")
    hand.press(hand.page.get_by_role("button", name=f"Resolve {number} entries"))
    expect(hand.page.get_by_role("status")).to_have_text(f"{number} entries resolved.")


def discard_a_group(hand: Hand) -> None:
    number = NO_QUANTITY.records
    hand.open_row(NO_QUANTITY.title)
    hand.press(hand.page.get_by_text(f"Discard all {number}…"))
    hand.fill(hand.page.get_by_label("Reason", exact=True), "test orders")
    hand.press(hand.page.get_by_role("button", name=f"Discard {number} entries"))
    expect(hand.page.get_by_role("status")).to_have_text(f"{number} entries discarded.")


def discard_what_is_selected(hand: Hand) -> None:
    hand.go("Record errors")
    expect(hand.page.locator("[data-row]")).to_have_count(NO_SUCH_CREDIT.records + NO_DATE.records)
    bar = hand.page.get_by_role("group", name="Actions on what is selected")
    expect(bar).to_be_hidden()
    hand.pick(2, 10)
    expect(bar.get_by_role("button", name="Replay 9")).to_be_visible()
    hand.press(bar.get_by_role("button", name="Discard 9…"))
    hand.fill(hand.page.get_by_label("Reason"), "not needed any more")
    hand.press(hand.page.get_by_role("button", name="Discard 9 entries"))
    expect(hand.page.get_by_role("status")).to_have_text("9 entries discarded.")


def clear_the_rest(hand: Hand) -> None:
    hand.press(hand.page.get_by_text("More", exact=True))
    hand.press(hand.page.get_by_role("link", name="Clear", exact=True))
    hand.tick(hand.page.get_by_label("include what is still relevant", exact=True))
    hand.press(hand.page.get_by_role("button", name="Delete all entries"))
    rest = NO_SUCH_CREDIT.records + NO_DATE.records - 9
    expect(hand.page.get_by_role("heading", name=f"{rest} entries still relevant")).to_be_visible()
    hand.tick(hand.page.get_by_label(f"I have seen that {rest} entries are still relevant"))
    hand.press(hand.page.get_by_role("button", name=f"Delete {OPEN} entries"))
    expect(hand.page.get_by_role("status")).to_contain_text(f"{OPEN} entries")


@pytest.fixture(scope="module")
def busy_day(morning: Monday) -> Monday:
    """Something for every page: entries, an archive, a message that nobody can read."""
    morning.come(quiet=True)
    morning.clear()
    morning.come(quiet=True)
    morning.garble()
    return morning


@pytest.fixture(scope="module")
def shots(busy_day: Monday, browser: Browser) -> list[Shot]:
    """Every page, with something on it; a replay that stopped itself too."""
    morning = busy_day
    with opened(browser, morning) as page:
        page.goto("/groups")
        Mouse(page).open_row(TOO_LONG.title)
        group = page.url
        page.get_by_role("button", name="Replay all").click()
        expect(page.get_by_text("stopped itself")).to_be_visible()
        page.get_by_role("link", name="Replay", exact=True).click()
        page.get_by_role("heading", name="Not resolved").wait_for()
        job = page.url
        page.goto("/quarantine")
        page.locator("[data-open]").first.click()
        message = page.url
    entry = f"/entries/{morning.open_entries()[0]['id']}"
    return [
        Shot("overview", "/", in_docs=True),
        Shot("records", "/records", in_docs=True),
        Shot("setup", "/setup"),
        Shot("entries", "/entries"),
        Shot("entry", entry, in_docs=True),
        Shot("correct", f"{entry}/correct"),
        Shot("groups", "/groups", in_docs=True),
        Shot("muted", "/groups?state=muted"),
        Shot("group", group),
        Shot("replays", "/replays"),
        Shot("replay", job, in_docs=True),
        Shot("status", "/status", in_docs=True),
        Shot("quarantine", "/quarantine"),
        Shot("quarantined", message),
        Shot("audit", "/audit"),
        Shot("codes", "/codes"),
        Shot("code", "/codes/too_long"),
        Shot("clear", "/clear"),
        Shot("clear-preview", "/clear/preview?days=0&include_open=yes"),
        Shot("sign-in", "/sign-in"),
        Shot("not-found", NOT_THERE),
    ]


def test_no_page_shuts_anybody_out(morning: Monday, browser: Browser, shots: list[Shot]) -> None:
    found: list[str] = []
    with opened(browser, morning) as page:
        for shot in shots:
            page.goto(shot.path)
            page.evaluate(AXE_SCRIPT)
            for scheme, size in LOOKS:
                page.emulate_media(color_scheme=scheme)
                page.set_viewport_size(size)
                place = f"{shot.name} {scheme} {size['width']}"
                # what a scheme changes is colours
                rules = None if scheme == "light" else ["color-contrast"]
                found += [f"{place}: {each}" for each in violations(page, rules)]
                if page.evaluate("document.documentElement.scrollWidth") > size["width"]:
                    found.append(f"{place}: wider than the screen")
                keep_picture(page, shot, place.replace(" ", "-"))
    assert not found, "\n".join(found)


def violations(page: Page, rules: list[str] | None) -> list[str]:
    options = {"resultTypes": ["violations"], **({} if rules is None else {"runOnly": rules})}
    found: list[str] = page.evaluate(AXE, options)
    return found


def keep_picture(page: Page, shot: Shot, name: str) -> None:
    """Keep how it looks, when somebody asked for it: all pages, or in a folder `docs/...` what the documentation shows."""
    folder = os.environ.get("INSTEP_SCREENSHOTS")
    if folder is None:
        return
    in_docs = shot.in_docs and not name.endswith("dark-390")
    if in_docs or not folder.startswith("docs"):
        clip = FloatRect(x=0, y=0, width=page.evaluate("innerWidth"), height=640)
        page.screenshot(path=Path(folder) / f"{name}.png", clip=clip if in_docs else None)


def test_every_action_works_without_a_script(morning: Monday, browser: Browser) -> None:
    morning.come(quiet=True)
    morning.widen()
    with opened(browser, morning, java_script_enabled=False) as page:
        page.goto("/groups")
        page.get_by_role("link", name=TOO_LONG.title).click()
        page.get_by_role("button", name="Replay all").click()
        expect(page.get_by_role("status")).to_contain_text("has begun")
        # what was sent is not open any more, and cannot be discarded before it is closed
        morning.world.until(
            lambda: not morning.open_entries(TOO_LONG) and not morning.world.entries("--state", "replaying"),
            what="the replay is over",
        )

        page.goto("/records")
        page.locator("[data-pick]").first.check()
        page.get_by_role("button", name="Discard selected…").click()
        page.get_by_label("Reason").fill("not needed")
        page.get_by_role("button", name="Discard 1 entry").click()
        expect(page.get_by_role("status")).to_have_text("1 entry discarded.")


def test_a_live_part_keeps_what_is_focused_selected_and_scrolled_to(
    morning: Monday, browser: Browser
) -> None:
    morning.come()
    with opened(browser, morning) as page:
        page.goto("/groups")
        Mouse(page).open_row(TOO_LONG.title)
        page.get_by_role("button", name="Replay all").click()
        expect(page.get_by_role("status")).to_contain_text("has begun")
        for _ in range(3):
            page.keyboard.press("j")
        page.keyboard.press("x")
        row = page.locator("[data-row]:focus-within")
        picked, place = row.get_attribute("id"), row.bounding_box()

        page.get_by_text("stopped itself").wait_for()

        assert row.get_attribute("id") == picked
        expect(page.locator(f"#{picked} [data-pick]")).to_be_checked()
        expect(page.get_by_role("button", name="Replay 1", exact=True)).to_be_visible()
        after = row.bounding_box()
        assert place is not None
        assert after is not None
        assert abs(after["y"] - place["y"]) < 5


def test_the_keys_are_told_by_a_question_mark(morning: Monday, browser: Browser) -> None:
    with opened(browser, morning) as page:
        page.goto("/codes")
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
        page.keyboard.press("/")
        expect(page.get_by_role("searchbox")).to_be_focused()
        page.keyboard.type("j?x")
        expect(page.get_by_role("searchbox")).to_have_value("j?x")
