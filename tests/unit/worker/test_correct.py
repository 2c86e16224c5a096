"""Replays with corrected values."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from schemas.change import Decoded, Kind, Op, RecordChange, Shape
from schemas.events import OriginalRecord
from tests.unit.worker.build import a_description, a_mapping, a_request, no_key_fields
from worker.batch import Change, Translator
from worker.plan import FieldPlan
from worker.translate import Broken, Candidate

SHAPE = Shape(("number", "name", "credit"), {"number": Kind.TEXT, "name": Kind.TEXT, "credit": Kind.TEXT})


def read(_key: bytes | None, value: bytes | None, _headers: object) -> Decoded:
    """Decode a row of JSON, or a deletion of it."""
    row = orjson.loads(value or b"")
    if row.pop("deleted", False):
        return RecordChange(Op.DELETE, row, None, SHAPE)
    return RecordChange(Op.UPDATE, None, row, SHAPE)


def replayed(corrections: Mapping[str, str], **changes: Any) -> Change:
    """Replay a change of customer A with corrected values."""
    row = {"number": "A", "name": "Adatum", "credit": "5", **changes.pop("row", {})}
    request = a_request(
        7, record="A", original=OriginalRecord(b"A", orjson.dumps(row)), corrections=corrections
    )
    translator = Translator({"customers": read}, {"customers": no_key_fields})
    ((change,),) = translator.replays(a_mapping(**changes), [request], lambda _: None).rounds
    return change


def written(change: Change) -> dict[str, Any]:
    """Return the row that a change writes."""
    assert isinstance(change, Candidate), change
    return dict(zip(change.columns, change.row, strict=True))


def reason(change: Change) -> str:
    """Return why a correction is refused."""
    assert isinstance(change, Broken), change
    assert change.fault.code == "correction_invalid"
    assert change.replay is not None
    assert change.key == ("A",)
    return change.fault.parameters["reason"]


def test_a_corrected_field_is_written_in_place_of_the_translated_one() -> None:
    assert written(replayed({"name": '"Contoso"'})) == {"number": "A", "name": "Contoso", "credit": 5}


def test_a_corrected_text_becomes_what_the_target_takes() -> None:
    assert written(replayed({"credit": '"12"'}))["credit"] == 12


def test_a_value_that_cannot_be_translated_can_be_corrected() -> None:
    assert written(replayed({"credit": "12"}, row={"credit": "a lot"}))["credit"] == 12


def test_a_field_can_be_corrected_to_null() -> None:
    assert written(replayed({"name": "null"}))["name"] is None


def test_a_field_that_the_mapping_does_not_fill_can_be_corrected() -> None:
    change = replayed({"credit": "1"}, fields=(FieldPlan("name", "name"),))
    assert written(change) == {"number": "A", "name": "Adatum", "credit": 1}


def test_a_correction_is_for_one_replay_alone() -> None:
    mapping = a_mapping()
    translator = Translator({"customers": read}, {"customers": no_key_fields})
    original = OriginalRecord(b"A", orjson.dumps({"number": "A", "name": "Adatum", "credit": "5"}))
    requests = [
        a_request(7, record="A", original=original, corrections={"name": '"Contoso"'}),
        a_request(7, record="A", original=original),
    ]

    first, second = translator.replays(mapping, requests, lambda _: None).rounds

    assert [written(first[0])["name"], written(second[0])["name"]] == ["Contoso", "Adatum"]


@pytest.mark.parametrize(
    ("corrections", "words"),
    [
        ({"colour": '"red"'}, "no such field"),
        ({"credit": '"a lot"'}, "not an integer"),
        ({"credit": "1.5"}, "not an integer"),
        ({"credit": "NaN"}, "no JSON"),
        ({"credit": "{"}, "no JSON"),
        ({"number": '"B"'}, "which record is meant"),
    ],
)
def test_a_value_that_cannot_be_written_fails_and_says_why(corrections: dict[str, str], words: str) -> None:
    change = replayed(corrections)
    assert words in reason(change)
    assert isinstance(change, Broken)
    assert not set(corrections.values()) & set(change.fault.parameters.values())


def test_a_field_that_the_target_makes_itself_cannot_be_corrected() -> None:
    description = a_description()
    columns = dict(description.columns)
    columns["credit"] = type(columns["credit"])("credit", Kind.INTEGER, generated=True)
    fitting = type(description)(description.entity, columns, description.unique)
    assert "itself" in reason(replayed({"credit": "1"}, description=fitting))


def test_a_deletion_cannot_be_corrected() -> None:
    assert "deletes the record" in reason(replayed({"name": '"Contoso"'}, row={"deleted": True}))
