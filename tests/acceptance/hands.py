"""The two ways of a person through the pages: with the mouse, and with the keyboard alone."""

from typing import Protocol

from playwright.sync_api import Locator, Page

_TABS_AT_MOST = 300
_LETTERS = {"Overview": "o", "Record errors": "r", "Setup errors": "s", "Groups": "g", "Replays": "p"}


class Hand(Protocol):
    """What a person does on a page; an element is named as assistive technology names it."""

    page: Page

    def go(self, name: str) -> None:
        """To one of the pages of the main navigation."""

    def press(self, element: Locator) -> None:
        """A button, a link, or what unfolds something."""

    def fill(self, field: Locator, text: str) -> None:
        """Write into a field."""

    def tick(self, box: Locator) -> None:
        """Tick a box."""

    def open_row(self, title: str) -> None:
        """Open the first line of a list that has this title."""

    def pick(self, first: int, last: int) -> None:
        """Select lines of a list, from the one at this place to the one at that."""


class Mouse:
    """Clicks."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def go(self, name: str) -> None:
        self.page.get_by_role("navigation").get_by_role("link", name=name).first.click()

    def press(self, element: Locator) -> None:
        element.click()

    def fill(self, field: Locator, text: str) -> None:
        field.click()
        field.press_sequentially(text)

    def tick(self, box: Locator) -> None:
        box.click()

    def open_row(self, title: str) -> None:
        self.page.locator("[data-row]", has_text=title).first.locator("[data-open]").click()

    def pick(self, first: int, last: int) -> None:
        boxes = self.page.locator("[data-pick]")
        boxes.nth(first).click()
        boxes.nth(last).click(modifiers=["Shift"])


class Keyboard:
    """Presses keys; nothing is ever clicked, and focus goes only where keys take it."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def go(self, name: str) -> None:
        with self.page.expect_navigation():
            self.page.keyboard.press("g")
            self.page.keyboard.press(_LETTERS[name])

    def press(self, element: Locator) -> None:
        self._reach(element)
        self.page.keyboard.press("Enter")

    def fill(self, field: Locator, text: str) -> None:
        self._reach(field)
        self.page.keyboard.type(text)

    def tick(self, box: Locator) -> None:
        self._reach(box)
        self.page.keyboard.press("Space")

    def open_row(self, title: str) -> None:
        rows = self.page.locator("[data-row]")
        for _ in range(rows.count()):
            self.page.keyboard.press("j")
            if title in self.page.locator("[data-row]:focus-within").inner_text():
                self.page.keyboard.press("Enter")
                return
        raise AssertionError(f"no line says {title!r}")

    def pick(self, first: int, last: int) -> None:
        for _ in range(first + 1):
            self.page.keyboard.press("j")
        self.page.keyboard.press("x")
        for _ in range(last - first):
            self.page.keyboard.press("j")
        self.page.keyboard.press("Shift+X")

    def _reach(self, element: Locator) -> None:
        element.wait_for()
        for _ in range(_TABS_AT_MOST):
            if element.evaluate("each => each === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not lead to {element}")
