"""Failures as events, none larger than the broker takes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalogue import catalogue
from schemas.codec import Codec
from schemas.events import ALL_MAPPINGS, OriginalRecord, SyncFailed, event_key
from tests.unit.worker.build import TOPIC, a_mapping, a_message
from worker.decide import OpenFailure
from worker.fault import Fault
from worker.report import OVERHEAD_BYTES, Reporter, app_failed_event, failed_event, fit, message_of, retry_at
from worker.translate import Candidate

NOW = datetime(2026, 11, 23, tzinfo=UTC)
REPORTER = Reporter("worker-1", "0.1.0", "group.replay")


def an_event(*, code: str = "too_long", attempt: int = 1, value: bytes | None = b"value") -> SyncFailed:
    """Return the event of a failed customer."""
    message = a_message(7, value=value)
    change = Candidate(("C/1",), False, ("C/1",), ("number",), ("C/1",), message)
    failure = OpenFailure("customers", "C/1", "failure-1", code, TOPIC, 0, 7, attempt, NOW, 0)
    return failed_event(a_mapping(), change, Fault(code), failure, NOW, REPORTER)


def test_a_failure_says_whose_it_is_and_where_it_stands() -> None:
    event = an_event()

    assert event.source.record_id == "C/1"
    assert event.source.link == "https://erp.example/customer/C%2F1"
    assert event.position is not None
    assert (event.position.topic, event.position.offset) == (TOPIC, 7)
    assert event.original == OriginalRecord(b"key", b"value")
    assert event_key(event) == b'["customers","forward","C/1"]'


def test_an_app_failure_is_one_for_the_app() -> None:
    event = app_failed_event("crm", Fault("login_failed"), NOW, 1, NOW, REPORTER)

    assert (event.mapping, event.scope, event.target.app) == (ALL_MAPPINGS, "app", "crm")
    assert event_key(event) == b'["*","forward","crm"]'


@pytest.mark.parametrize("code", [code for code in catalogue().values() if code.retry.schedule_s])
def test_what_heals_itself_is_tried_on_its_codes_schedule_and_then_left_to_a_person(code: object) -> None:
    name, schedule = code.name, code.retry.schedule_s  # type: ignore[attr-defined]  # a parametrized code

    times = [retry_at(name, attempt, NOW) for attempt in range(1, len(schedule) + 2)]

    assert times == [*(NOW + timedelta(seconds=delay) for delay in schedule), None]


def test_a_failure_of_the_record_itself_is_not_tried_blindly() -> None:
    assert retry_at("too_long", 1, NOW) is None


@given(
    value=st.integers(0, 40_000),
    trace=st.integers(0, 8192),
    message=st.integers(0, 2048),
    limit=st.integers(12_000, 60_000),
)
def test_an_event_always_fits_and_gives_up_its_trace_before_its_payload(
    value: int, trace: int, message: int, limit: int
) -> None:
    codec = Codec()
    event = replace(an_event(value=b"v" * value), trace="t" * trace, message="m" * message)

    fitting = fit(event, codec.encode, limit)

    assert len(codec.encode(fitting)) <= limit - OVERHEAD_BYTES - len(event_key(event))
    if fitting.original is None:
        assert fitting.trace is None
    if len(codec.encode(event)) <= limit - OVERHEAD_BYTES - len(event_key(event)):
        assert fitting == event


def test_what_the_app_said_is_added_to_the_catalogues_sentence() -> None:
    said = message_of(Fault("rejected_by_app", detail="the customer is blocked"))

    assert said.endswith("the customer is blocked")


def test_a_link_that_no_browser_would_open_is_left_out() -> None:
    change = Candidate(("é" * 1000,), False, ("é",), ("number",), ("é",), a_message(7))
    failure = OpenFailure("customers", "é", "failure-1", "too_long", TOPIC, 0, 7, 1, NOW, 0)

    event = failed_event(a_mapping(), change, Fault("too_long"), failure, NOW, REPORTER)

    assert event.source.link is None
