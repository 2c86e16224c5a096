"""A polled batch, decoded and translated."""

from collections.abc import Sequence
from typing import Any, Literal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.change import Decoded, Kind, Op, RecordChange, Shape, Undecodable
from schemas.events import Decision, OriginalRecord
from tests.unit.worker.build import TOPIC, a_mapping, a_message, a_request
from worker.batch import Part, Translator, by_topic, next_offsets
from worker.message import Message
from worker.translate import Broken, Candidate, record_of

SHAPE = Shape(("number", "name"), {"number": Kind.TEXT, "name": Kind.TEXT})


def read(_key: bytes | None, value: bytes | None, _headers: object) -> Decoded:
    """Decode a row of JSON; anything else is poison."""
    try:
        return RecordChange(Op.UPDATE, None, orjson.loads(value or b""), SHAPE)
    except ValueError:
        return Undecodable("undecodable", "no JSON")


def read_key(key: bytes | None, _headers: object) -> dict[str, Any] | None:
    """Read a message's key as the customer's number."""
    return {"number": key.decode()} if key else None


def a_translator() -> Translator:
    """Return a translator of such messages."""
    return Translator({"customers": read}, {"customers": read_key})


def a_row(offset: int, number: str, name: str = "n") -> Message:
    """Return a message with a row."""
    return a_message(offset, key=number.encode(), value=orjson.dumps({"number": number, "name": name}))


def part_of(messages: Sequence[Message], order: Literal["latest", "strict"] = "latest") -> Part:
    """Return the part of these messages."""
    return a_translator().part(a_mapping(order=order), messages)


def test_a_record_whose_last_message_is_poison_is_written_as_it_was_before_and_fails() -> None:
    part = part_of([a_row(0, "A"), a_message(1, key=b"A", value=b"{")])

    ((written,), (broken,)) = part.rounds
    assert isinstance(written, Candidate)
    assert isinstance(broken, Broken)
    assert (record_of(broken), broken.fault.code) == ("A", "undecodable")


def test_a_record_whose_poison_is_followed_by_a_good_change_is_written() -> None:
    part = part_of([a_message(0, key=b"A", value=b"{"), a_row(1, "A")])

    ((change,),) = part.rounds
    assert isinstance(change, Candidate)


def test_poison_without_a_key_is_a_record_of_its_own() -> None:
    part = part_of([a_message(5, key=None, value=b"{"), a_row(6, "A")])

    assert {record_of(each) for each in part.rounds[0]} == {f"@{TOPIC}/0/5", "A"}


def test_strict_changes_of_one_record_come_in_rounds_in_their_order() -> None:
    part = part_of([a_row(0, "A"), a_row(1, "B"), a_row(2, "A"), a_row(3, "A")], "strict")

    assert [[each.message.offset for each in changes] for changes in part.rounds] == [[0, 1], [2], [3]]


@given(st.lists(st.sampled_from("ABC"), max_size=20))
def test_no_round_has_a_record_twice_and_each_record_keeps_its_order(numbers: list[str]) -> None:
    part = part_of([a_row(offset, number) for offset, number in enumerate(numbers)], "strict")

    seen: dict[str, int] = {}
    for changes in part.rounds:
        records = [record_of(each) for each in changes]
        assert len(records) == len(set(records))
        for each in changes:
            assert seen.get(record_of(each), -1) < each.message.offset
            seen[record_of(each)] = each.message.offset
    assert sum(map(len, part.rounds)) == len(numbers)


def test_a_replay_is_the_original_change_with_its_request() -> None:
    original = OriginalRecord(b"A", orjson.dumps({"number": "A", "name": "n"}))

    part = a_translator().replays(a_mapping(), [a_request(7, record="A", original=original)], lambda _: None)

    ((change,),) = part.rounds
    assert isinstance(change, Candidate)
    assert change.replay is not None
    assert (change.message.offset, change.row) == (7, ("A", "n"))


def test_a_replay_without_bytes_reads_the_original_again() -> None:
    part = a_translator().replays(a_mapping(), [a_request(7, record="A")], lambda _: a_row(7, "A"))  # type: ignore[arg-type,return-value]  # a stored message

    assert isinstance(part.rounds[0][0], Candidate)


def test_a_replay_whose_original_is_gone_fails_and_says_so() -> None:
    part = a_translator().replays(a_mapping(), [a_request(7, record="A")], lambda _: None)

    ((change,),) = part.rounds
    assert isinstance(change, Broken)
    assert (change.fault.code, record_of(change)) == ("original_gone", "A")


def test_giving_up_needs_no_original() -> None:
    request = a_request(7, record="A", decision=Decision.DROP)

    part = a_translator().replays(a_mapping(), [request], lambda _: pytest.fail("asked for it"))

    assert part.rounds[0][0].replay is request


def test_two_replays_of_one_record_come_one_after_the_other() -> None:
    requests = [a_request(7, record="A", decision=Decision.DROP) for _ in range(2)]

    assert len(a_translator().replays(a_mapping(), requests, lambda _: None).rounds) == 2


def test_messages_keep_their_order_within_a_topic() -> None:
    messages = [a_message(0), a_message(0, topic="other"), a_message(1)]

    topics = by_topic(messages)

    assert [each.offset for each in topics[TOPIC]] == [0, 1]
    assert next_offsets(messages) == {(TOPIC, 0): 2, ("other", 0): 1}
