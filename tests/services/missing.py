"""What could not be had on this machine: its tests are skipped and the end of the run tells; with CI set they fail."""

import os
from typing import NoReturn

import pytest

MISSING = pytest.StashKey[dict[str, str]]()


def refuse(request: pytest.FixtureRequest, what: str, reason: str) -> NoReturn:
    """Notes what is missing and ends the test."""
    request.config.stash[MISSING][what] = reason
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
