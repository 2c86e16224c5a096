"""Replays are translated all at once, and each comes to what it would have come to alone."""

from collections.abc import Sequence
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from schemas.change import Decoded, Ignored, Kind, Op, RecordChange, Shape, Tombstone, Undecodable
from schemas.events import Decision, OriginalRecord, ReplayRequest
from tests.unit.worker.build import a_mapping, a_request
from worker.batch import Change, Translator, in_rounds
from worker.fault import Fault
from worker.message import StoredMessage, stored
from worker.plan import MappingPlan
from worker.translate import Broken
from worker.where import compile_where

WHOLE = Shape(("number", "name", "credit"), dict.fromkeys(("number", "name", "credit"), Kind.TEXT))
LACKING = Shape(
    ("number", "credit"), dict.fromkeys(("number", "credit"), Kind.TEXT), lacks=frozenset({"name"})
)
KEYS = [None, b"A", b"B"]
VALUES = [
    None,
    b"{",
    b"ignored",
    *map(
        orjson.dumps,
        [
            {"number": "A", "name": "n", "credit": "1"},
            {"number": "A", "name": "m", "credit": "no number"},
            {"number": "A", "name": "skipped", "credit": "2"},
            {"number": "B", "credit": "3"},
            {"number": "B", "credit": "no number"},
            {"name": "no key", "credit": "4"},
            {"deleted": "A"},
        ],
    ),
]
ORIGINALS = st.builds(OriginalRecord, st.sampled_from(KEYS), st.sampled_from(VALUES))
REQUESTS = st.builds(
    a_request,
    st.integers(0, 3),
    record=st.sampled_from("AB"),
    failure=st.sampled_from(["first", "second"]),
    decision=st.sampled_from([Decision.RETRY, Decision.RETRY, Decision.DROP]),
    original=st.none() | ORIGINALS,
    corrections=st.sampled_from([None, None, {"name": '"corrected"'}, {"credit": '"no number"'}]),
)
MAPPINGS = st.builds(
    a_mapping,
    order=st.sampled_from(["latest", "strict"]),
    on_delete=st.sampled_from(["propagate", "report", "ignore"]),
    delete_on_tombstone=st.booleans(),
    where=st.sampled_from([None, compile_where("name <> 'skipped' OR name IS NULL")]),
)


def read(_key: bytes | None, value: bytes | None, _headers: object) -> Decoded:
    """Decode a row of JSON, with or without its name, or a delete."""
    if value is None:
        return Tombstone()
    if value == b"ignored":
        return Ignored("heartbeat")
    try:
        row = orjson.loads(value)
    except ValueError:
        return Undecodable("undecodable", "no JSON")
    if "deleted" in row:
        return RecordChange(Op.DELETE, {"number": row["deleted"], "name": "n", "credit": "1"}, None, WHOLE)
    return RecordChange(Op.UPDATE, None, row, WHOLE if "name" in row else LACKING)


def read_key(key: bytes | None, _headers: object) -> dict[str, Any] | None:
    """Read a message's key as the customer's number."""
    return {"number": key.decode()} if key else None


TRANSLATOR = Translator({"customers": read}, {"customers": read_key})


def find_original(place: Any) -> StoredMessage | None:
    """Find a message at every second position."""
    return stored(place, OriginalRecord(b"A", VALUES[3])) if place.offset % 2 else None


def alone(mapping: MappingPlan, request: ReplayRequest) -> Change:
    """Return what becomes of a request that is translated by itself."""
    place = request.position
    without = StoredMessage(place.topic, place.partition, place.offset, place.timestamp_ms, None, None)
    if request.decision is Decision.DROP:
        return Broken((), without, Fault("bug"), request)
    original = request.original
    message = stored(place, original) if original is not None else find_original(place)
    if message is None:
        return Broken((), without, Fault("original_gone"), request)
    translated = TRANSLATOR.again(mapping, Broken((), message, Fault("bug"), request))
    assert translated is not None
    return translated


@given(MAPPINGS, st.lists(REQUESTS, max_size=8))
def test_replays_in_bulk_come_to_what_each_comes_to_alone(
    mapping: MappingPlan, requests: Sequence[ReplayRequest]
) -> None:
    part = TRANSLATOR.replays(mapping, requests, find_original)

    assert part.rounds == in_rounds([alone(mapping, each) for each in requests])
