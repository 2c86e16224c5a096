import orjson

from schemas.events import OriginalRecord
from sink.web.page.change import MASKED, mask, read_change

SOURCE = {
    "version": "3.3.1.Final",
    "connector": "postgresql",
    "name": "erp",
    "ts_ms": 1,
    "db": "d",
    "table": "t",
}


def debezium(before: object, after: object, op: str = "u") -> OriginalRecord:
    value = {"before": before, "after": after, "source": SOURCE, "op": op, "ts_ms": 1}
    return OriginalRecord(None, orjson.dumps(value))


def no_schema(_: object) -> None:
    return None


def test_fields_tell_before_after_and_whether_they_differ() -> None:
    change = read_change(debezium({"a": 1, "b": "x", "c": None}, {"a": 2, "b": "x", "c": ""}), no_schema)
    assert [(each.name, each.before.text, each.after.text, each.differs) for each in change.fields] == [
        ("a", "1", "2", True),
        ("b", "x", "x", False),
        ("c", "", "", True),
    ]
    assert change.fields[2].before.kind == "null"


def test_where_nothing_was_sent_of_before_nothing_is_said_to_differ() -> None:
    change = read_change(debezium(None, {"a": 1}, "c"), no_schema)
    assert [each.differs for each in change.fields] == [None]
    assert not change.has_before


def test_bytes_that_are_no_change_say_so() -> None:
    change = read_change(OriginalRecord(b"k", b"\x07nothing"), no_schema)
    assert change.fields == ()
    assert change.said.startswith("The fields cannot be shown.")


def test_a_tombstone_says_that_the_record_was_deleted() -> None:
    assert "deleted" in read_change(OriginalRecord(b"k", None), no_schema).said


def test_masking_leaves_no_value_but_what_differs() -> None:
    masked = mask(read_change(debezium({"a": "secret"}, {"a": "other"}), no_schema))
    (field,) = masked.fields
    assert (field.before.text, field.after.text, field.differs) == (MASKED, MASKED, True)
