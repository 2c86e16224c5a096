"""Chromium as the Debian package ships it, driven by Playwright."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.services.process import UnavailableError

PROGRAM = Path("/usr/bin/chromium")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser; raises UnavailableError when there is none."""
    if not PROGRAM.exists():
        raise UnavailableError("no Chromium (Debian package chromium)")
    # its sandbox refuses to run as root
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=options)
        try:
            yield browser
        finally:
            browser.close()
