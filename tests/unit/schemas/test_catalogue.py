import re
import string
from operator import attrgetter
from pathlib import Path

import pytest

from schemas.catalogue import Category, Code, Scope, catalogue
from schemas.catalogue_page import page, policy

PAGE = Path(__file__).parents[3] / "docs" / "errors.md"

DESIGNED = {
    Category.COUPLING: "not_coupled parent_not_coupled target_deleted source_deleted already_coupled ambiguous_match no_match",
    Category.CONFLICT: "both_changed stale_target",
    Category.DATA: "too_long out_of_range required_missing wrong_type duplicate_key reference_missing rejected_by_app"
    " option_not_mapped correction_invalid",
    Category.SETUP: "permission_denied integration_user_is_admin integration_user_disabled password_must_change"
    " password_expired login_failed exchange_rate_missing currency_missing entity_missing field_missing mapping_invalid"
    " app_in_maintenance quota_exceeded",
    Category.TRANSIENT: "timeout connection_lost throttled deadlock lock_timeout unavailable",
    Category.POISON: "undecodable unknown_schema unknown_operation too_large",
    Category.INTERNAL: "bug",
    Category.FOREIGN: "dead_letter dead_letter_undecodable dead_letter_refused dead_letter_unavailable replay_topic_missing"
    " replay_not_taken",
}
DECISIONS = {"retry", "discard", "resolve", "use_source", "use_target", "restore", "uncouple", "couple"}
CODES = pytest.mark.parametrize("code", catalogue().values(), ids=attrgetter("name"))


@pytest.mark.parametrize("category", Category)
def test_every_designed_code_is_there_in_its_category(category: Category) -> None:
    assert {catalogue()[name].category for name in DESIGNED[category].split()} == {category}


@CODES
def test_a_code_tells_all_that_a_reader_needs(code: Code) -> None:
    assert re.fullmatch(r"[a-z_]+", code.name)
    assert all([code.title, code.cause.endswith("."), code.steps, code.message.endswith(".")])
    assert set(code.decisions) <= DECISIONS


@CODES
def test_a_message_reads_well_when_nothing_more_is_known(code: Code) -> None:
    assert not set(code.say({})) & set("{}[]()")


@CODES
def test_only_what_can_heal_without_a_person_is_tried_again(code: Code) -> None:
    heals = code.scope in {Scope.SELF_HEALING, Scope.DEPENDENCY}
    assert bool(code.retry.schedule_s) == heals
    assert bool(code.retry.in_place) == (code.scope is Scope.SELF_HEALING)


@CODES
def test_delays_grow(code: Code) -> None:
    assert list(code.retry.schedule_s) == sorted(set(code.retry.schedule_s))


def test_an_app_that_is_broken_offers_no_decision_about_records() -> None:
    assert [code.name for code in catalogue().values() if code.scope is Scope.APP and code.decisions] == []


def test_optional_parts_appear_once_all_their_parameters_are_known() -> None:
    missing = catalogue()["field_missing"]
    assert missing.say({"entity": "account"}) == "The target lacks a field of the mapping in account."
    assert missing.say({"column": "vat"}) == "The target lacks a field of the mapping: vat."


def test_a_parameter_may_hold_braces_and_brackets() -> None:
    assert "a[b]{c}" in catalogue()["too_long"].say({"field": "a[b]{c}"})


@CODES
def test_templates_name_parameters_only_in_optional_parts(code: Code) -> None:
    outside = re.sub(r"\[[^\[\]]*\]", "", code.message)
    assert [name for _, name, _, _ in string.Formatter().parse(outside) if name] == []


def test_the_page_of_errors_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(catalogue()), "run `make docs`"


def test_a_policy_reads_as_a_sentence() -> None:
    assert policy(catalogue()["deadlock"]) == (
        "3 times at once, then after 10 s, 1 min, 5 min, 30 min after each failure; then it waits for a person"
    )
