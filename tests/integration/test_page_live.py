"""The live parts of pages, in a real browser over a store of their own."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from sink.states import State
from tests.contract.stored import only, told
from tests.page_world import AFTER, failure, original
from tests.web import Served, served, sqlite_url


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Served]:
    with served(sqlite_url(tmp_path)) as each:
        yield each


@pytest.fixture
def screen(browser: Browser, sink: Served) -> Iterator[Page]:
    page = browser.new_page(base_url=sink.url)
    yield page
    page.close()


def test_an_open_entry_shows_the_failure_that_a_decision_is_about(sink: Served, screen: Page) -> None:
    told(sink.store, failure())
    screen.goto(f"/entries/{only(sink.store).id}")
    screen.get_by_text("Discard…").click()
    screen.get_by_label("Reason", exact=True).fill("a double")
    version = screen.locator("#discard input[name=version]")
    seen = version.get_attribute("value") or ""

    moved = original(after={**AFTER, "city": "Delft"})
    other = failure(offset=1, code="wrong_type", parameters={"field": "city"}, original=moved)
    told(sink.store, replace(other, failed_at=datetime.now(UTC)))
    # what a form would act on now
    expect(version).not_to_have_value(seen)

    entry = only(sink.store)
    expect(screen.get_by_role("heading", level=1)).to_have_text(entry.message)
    expect(screen.get_by_role("region", name="What happened")).to_contain_text(entry.message)
    expect(screen.get_by_role("region", name="What to do")).to_contain_text("wrong_type")
    expect(screen.get_by_role("region", name="The change", exact=True)).to_contain_text("Delft")
    expect(screen.get_by_label("Reason", exact=True)).to_have_value("a double")
    screen.get_by_role("button", name="Discard this entry").click()
    expect(screen.get_by_role("status").first).to_have_text(re.compile("1 entry discarded"))
    assert only(sink.store).state is State.DISCARDED
