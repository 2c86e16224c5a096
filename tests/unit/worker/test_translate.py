"""Changes become candidates by the mapping."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.change import Kind, Op, RecordChange, Shape
from schemas.config.transform import Default, Round
from tests.unit.worker.build import a_change, a_description, a_mapping, a_message, a_shape, no_key_fields
from worker.decode import TOMBSTONE
from worker.plan import FieldPlan, MappingPlan
from worker.transform import compose
from worker.translate import Translated, record_id, translate
from worker.where import Where, compile_where


def translated(mapping: MappingPlan, *changes: RecordChange) -> Translated:
    """Translate changes at offsets 0, 1, 2, …"""
    return translate(mapping, [(a_message(i), each) for i, each in enumerate(changes)], no_key_fields)


def a_filter(text: str) -> Where:
    """Return a compiled filter."""
    where = compile_where(text)
    assert isinstance(where, Where)
    return where


def test_without_fields_every_column_of_the_same_name_is_written() -> None:
    mapping = a_mapping(description=a_description(number=Kind.TEXT, credit=Kind.INTEGER, other=Kind.TEXT))

    (candidate,) = translated(mapping, a_change()).candidates

    assert (candidate.columns, candidate.row) == (("number", "credit"), ("C1", 1))


def test_fields_rename_fix_transform_and_choose() -> None:
    mapping = a_mapping(
        fields=(
            FieldPlan("title", "name", transform=str.upper),
            FieldPlan("origin", None, constant="erp"),
            FieldPlan("state", "credit", options={"1": 7}),
        ),
        description=a_description(number=Kind.TEXT, title=Kind.TEXT, origin=Kind.TEXT, state=Kind.INTEGER),
    )

    (candidate,) = translated(mapping, a_change()).candidates

    assert dict(zip(candidate.columns, candidate.row, strict=True)) == {
        "number": "C1",
        "title": "ADATUM",
        "origin": "erp",
        "state": 7,
    }


def test_a_value_that_is_none_of_the_options_is_a_failure_that_names_the_field() -> None:
    mapping = a_mapping(fields=(FieldPlan("credit", "credit", options={"2": 7}),))

    (broken,) = translated(mapping, a_change()).broken

    assert (broken.fault.code, broken.fault.parameters["field"]) == ("option_not_mapped", "credit")


def test_a_value_that_cannot_be_converted_fails_alone() -> None:
    mapping = a_mapping(description=a_description(number=Kind.TEXT, name=Kind.INTEGER))
    good = a_change({"number": "C2", "name": "7", "credit": 1})

    result = translated(mapping, a_change(), good)

    assert [each.key for each in result.candidates] == [("C2",)]
    assert [(each.key, each.fault.code) for each in result.broken] == [(("C1",), "wrong_type")]
    assert "Adatum" not in str(result.broken[0].fault)


def test_wire_values_are_read_by_the_shapes_readers() -> None:
    shape = Shape(
        ("number", "credit"),
        {"number": Kind.TEXT, "credit": Kind.DECIMAL},
        {"credit": lambda wire: Decimal(wire) / 100},
    )
    mapping = a_mapping(description=a_description(number=Kind.TEXT, credit=Kind.DECIMAL))

    (candidate,) = translated(mapping, a_change({"number": "C1", "credit": 1050}, shape=shape)).candidates

    assert candidate.row == ("C1", Decimal("10.5"))


def test_null_stays_null_through_every_conversion() -> None:
    transform = compose([Round(digits=0)])
    mapping = a_mapping(fields=(FieldPlan("credit", "credit", transform=transform, options={"1": 2}),))

    (candidate,) = translated(mapping, a_change({"number": "C1", "name": None, "credit": None})).candidates

    assert candidate.row == ("C1", None)


def test_a_default_takes_the_place_of_null() -> None:
    default = compose([Default(value="unknown")])
    mapping = a_mapping(fields=(FieldPlan("name", "name", transform=default),))

    changes = [a_change({"number": str(i), "name": name}) for i, name in enumerate(("Adatum", None))]

    assert [each.row for each in translated(mapping, *changes).candidates] == [
        ("0", "Adatum"),
        ("1", "unknown"),
    ]


def test_a_default_that_the_target_cannot_take_is_a_failure_that_names_the_field() -> None:
    default = compose([Default(value="unknown")])
    mapping = a_mapping(fields=(FieldPlan("credit", "credit", transform=default),))

    (broken,) = translated(mapping, a_change({"number": "C1", "credit": None})).broken

    assert (broken.fault.code, broken.fault.parameters["field"]) == ("wrong_type", "credit")


def test_a_field_that_rows_of_a_shape_lack_is_not_written() -> None:
    mapping = a_mapping(fields=(FieldPlan("name", "name"), FieldPlan("credit", "credit")))
    shape = a_shape(number=Kind.TEXT, credit=Kind.INTEGER)

    (candidate,) = translated(mapping, a_change({"number": "C1", "credit": 1}, shape=shape)).candidates

    assert candidate.columns == ("number", "credit")


def test_only_the_last_change_of_a_record_goes_on() -> None:
    last = a_change({"number": "C1", "name": "last", "credit": 3})

    result = translated(a_mapping(), a_change(), a_change(), last)

    assert [each.row for each in result.candidates] == [("C1", "last", 3)]
    assert result.superseded == 2


def test_a_change_of_which_the_next_leaves_a_field_out_goes_before_it() -> None:
    without_name = replace(a_shape(number=Kind.TEXT, credit=Kind.INTEGER), lacks=frozenset({"name"}))
    changes = [
        a_change({"number": "C1", "name": "Adatum", "credit": 1}),
        a_change({"number": "C1", "credit": 2}, shape=without_name),
        a_change({"number": "C1", "credit": 3}, shape=without_name),
    ]

    result = translated(a_mapping(), *changes)

    assert [each.row for each in result.candidates] == [("C1", "Adatum", 1), ("C1", 3)]
    assert result.superseded == 1


def test_strict_order_keeps_every_change() -> None:
    result = translated(a_mapping(order="strict"), a_change(), a_change())

    assert len(result.candidates) == 2
    assert result.superseded == 0


def test_the_filter_is_asked_before_changes_overtake_each_other() -> None:
    mapping = a_mapping(where=a_filter("credit < 5"))
    inside, outside = a_change(), a_change({"number": "C1", "name": "n", "credit": 9})

    result = translated(mapping, inside, outside)

    assert [each.row[2] for each in result.candidates] == [1]
    assert (result.superseded, result.skipped) == (0, 1)


def test_a_delete_carries_the_targets_key() -> None:
    mapping = a_mapping(
        fields=(FieldPlan("number", "number", transform=str.lower),),
        description=a_description(number=Kind.TEXT),
    )

    (candidate,) = translated(mapping, a_change(op=Op.DELETE, before={"number": "C1"})).candidates

    assert (candidate.delete, candidate.row) == (True, ("c1",))


@pytest.mark.parametrize(
    ("on_delete", "skipped", "codes"), [("ignore", 1, []), ("report", 0, ["source_deleted"])]
)
def test_a_delete_can_be_ignored_or_reported(on_delete: str, skipped: int, codes: list[str]) -> None:
    result = translated(a_mapping(on_delete=on_delete), a_change(op=Op.DELETE, before={"number": "C1"}))

    assert (result.candidates, result.skipped) == ([], skipped)
    assert [each.fault.code for each in result.broken] == codes


def test_a_delete_without_image_takes_its_key_from_the_message() -> None:
    messages = [(a_message(), RecordChange(Op.DELETE, None, None, Shape(())))]

    result = translate(a_mapping(), messages, lambda _key, _headers: {"number": "C1"})

    assert [each.row for each in result.candidates] == [("C1",)]


@pytest.mark.parametrize("key", [[1, 2], {"scale": 0}])
def test_a_delete_whose_key_is_no_single_value_is_a_failure(key: object) -> None:
    (broken,) = translated(a_mapping(), a_change(op=Op.DELETE, before={"number": key})).broken

    assert broken.fault.code == "key_missing"


def test_a_tombstone_is_skipped_unless_it_is_configured_as_a_delete() -> None:
    messages = [(a_message(value=None), TOMBSTONE)]

    skipped = translate(a_mapping(), messages, lambda _key, _headers: {"": "C1"})
    deleted = translate(a_mapping(delete_on_tombstone=True), messages, lambda _key, _headers: {"": "C1"})

    assert (skipped.skipped, skipped.candidates) == (1, [])
    assert [each.row for each in deleted.candidates] == [("C1",)]


@pytest.mark.parametrize("row", [{"name": "x"}, {"number": None, "name": "x"}])
def test_a_row_without_key_is_a_failure(row: dict[str, object]) -> None:
    (broken,) = translated(a_mapping(), a_change(row)).broken

    assert (broken.fault.code, broken.fault.parameters) == ("key_missing", {"field": "number"})


@pytest.mark.parametrize("row", [{"name": "x"}, {"number": None, "name": "x"}])
def test_a_row_without_key_fails_under_the_id_that_the_message_tells(row: dict[str, object]) -> None:
    result = translate(a_mapping(), [(a_message(), a_change(row))], lambda _key, _headers: {"number": "C1"})

    assert result.broken[0].key == ("C1",)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers()), max_size=30))
def test_each_record_ends_as_its_last_change_says(changes: list[tuple[str, int]]) -> None:
    rows = [a_change({"number": number, "name": "n", "credit": credit}) for number, credit in changes]

    result = translated(a_mapping(), *rows)

    assert {each.key[0]: each.row[2] for each in result.candidates} == dict(changes)
    assert len(result.candidates) + result.superseded == len(changes)


@given(st.text(), st.text())
def test_a_record_id_is_a_text_that_every_database_can_keep(one: str, other: str) -> None:
    for key in ((one,), (one, other)):
        assert "\x00" not in record_id(key)
        assert len(record_id(key)) <= 420


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_ids_of_different_composite_keys_differ(one: tuple[str, str], other: tuple[str, str]) -> None:
    if "\x00" not in "".join(one + other) and one != other:
        assert record_id(one) != record_id(other)


def test_two_changes_of_a_record_that_go_to_different_target_records_are_said_to_be_two() -> None:
    mapping = a_mapping(fields=(FieldPlan("number", "name"), FieldPlan("credit", "credit")))
    without_credit = replace(a_shape(number=Kind.TEXT, name=Kind.TEXT), lacks=frozenset({"credit"}))
    changes = [
        a_change({"number": "C1", "name": "old", "credit": 1}),
        a_change({"number": "C1", "name": "new"}, shape=without_credit),
    ]

    result = translated(mapping, *changes)

    assert [each.target_key for each in result.candidates] == [("old",), ("new",)]
    assert not result.alone
