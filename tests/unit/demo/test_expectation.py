"""What a turn of the demo's story accepts, and what it says of what it does not accept."""

from collections.abc import Mapping
from typing import Any

import pytest

from demo.expectation import Expected, Seen, differences, summary


def seen(rows: Mapping[str, Any] | None = None, *entries: dict[str, Any], paused: bool = False) -> Seen:
    return Seen.of(rows or {}, entries, paused=paused)


def entry(record: str, state: str = "open", resolved_by: str | None = None) -> dict[str, Any]:
    return {"record_id": record, "code": "too_long", "state": state, "resolved_by": resolved_by}


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (Expected(), seen()),
        (Expected(rows={"C1": {"city": "Delft"}}), seen({"C1": {"city": "Delft", "name": "A"}})),
        (Expected(rows={"C1": None}), seen()),
        (Expected(listed={"C1": "too_long open"}), seen({}, entry("C1"))),
        (Expected(), seen({}, entry("C1", "resolved", "replay"))),
        (Expected(closed={"C1": "replay"}), seen({}, entry("C1", "resolved", "replay"))),
        (Expected(closed={"C1": "discarded"}), seen({}, entry("C1", "discarded"))),
        (Expected(paused=True), seen(paused=True)),
    ],
)
def test_what_is_as_expected_has_no_differences(expected: Expected, actual: Seen) -> None:
    assert list(differences(expected, actual)) == []


@pytest.mark.parametrize(
    ("expected", "actual", "difference"),
    [
        (Expected(rows={"C1": {}}), seen(), "C1 is not in the CRM"),
        (Expected(rows={"C1": None}), seen({"C1": {}}), "C1 is in the CRM, expected: not there"),
        (
            Expected(rows={"C1": {"city": "Delft"}}),
            seen({"C1": {"city": "Utrecht"}}),
            "C1: city is 'Utrecht', expected: 'Delft'",
        ),
        (Expected(), seen({}, entry("C1")), "entry of C1: too_long open, expected: not listed"),
        (
            Expected(listed={"C1": "too_long open"}),
            seen(),
            "entry of C1: not listed, expected: too_long open",
        ),
        (
            Expected(listed={"C1": "too_long open"}),
            seen({}, entry("C1", "waiting")),
            "entry of C1: too_long waiting, expected: too_long open",
        ),
        (Expected(closed={"C1": "replay"}), seen(), "entry of C1: not over, expected: over by replay"),
        (
            Expected(closed={"C1": "replay"}),
            seen({}, entry("C1", "resolved", "hand")),
            "entry of C1: hand, expected: over by replay",
        ),
        (Expected(), seen(paused=True), "the CRM is paused"),
        (Expected(paused=True), seen(), "the CRM is not paused"),
    ],
)
def test_every_difference_is_told(expected: Expected, actual: Seen, difference: str) -> None:
    assert list(differences(expected, actual)) == [difference]


def test_summary_tells_what_was_seen_not_what_was_expected() -> None:
    expected = Expected(rows={"C1": {}, "C2": None}, closed={"C1": "replay"})
    actual = seen({"C2": {}}, entry("C3"), entry("C1", "resolved", "released"))

    assert summary(expected, actual) == "0 of 2 records right; listed: C3 too_long open; C1 released"
