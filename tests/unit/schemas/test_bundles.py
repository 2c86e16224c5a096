"""Many events in one message: what travels together, in which order, and that nothing changes on the way."""

from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import Any

import pytest
from fastavro import schemaless_reader
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro_schemas import parse_plain, schema_text
from schemas.bundles import FEW, Placed, in_bundles
from schemas.codec import Codec
from schemas.events import (
    Decision,
    Event,
    OriginalRecord,
    Outcome,
    Position,
    ReplayBundle,
    ReplayRequest,
    Resolution,
    ResolvedBundle,
    SyncResolved,
    event_key,
)
from schemas.framing import SINGLE_OBJECT_BYTES
from tests.unit.schemas.events import events, long, maybe_text, originals, resolved, text

CODEC = Codec()
ROOMY = 1 << 20

partition = st.integers(0, 2**31 - 1)
# alike in what a bundle says once
alike_requests = st.builds(
    ReplayRequest,
    replay_id=text,
    failure_id=text,
    mapping=st.just("customers"),
    direction=st.just("forward"),
    record_id=text,
    decision=st.just(Decision.RETRY),
    scheduled=st.just(False),
    position=st.builds(Position, st.just("erp"), partition, long, long),
    original=st.none() | originals,
    corrections=st.none(),
)
alike_resolutions = st.builds(
    SyncResolved,
    failure_id=text,
    mapping=st.just("customers"),
    direction=st.just("forward"),
    record_id=text,
    how=st.just(Resolution.REPLAY),
    outcome=st.just(Outcome.MODIFIED),
    replay_id=maybe_text,
    position=st.builds(Position, st.just("erp"), partition, long, long),
    resolved_at=st.just(resolved().resolved_at),
    worker=st.just("w"),
)


def first_byte(key: bytes) -> int:
    """Tell the partition of a key."""
    return sum(key) % 3


def first_bytes(keys: Sequence[bytes]) -> list[int]:
    """Tell the partition of each of many keys."""
    return list(map(first_byte, keys))


def as_any_reader_has_it(bundle: ReplayBundle | ResolvedBundle) -> Any:
    """Return the fields of a bundle as fastavro reads them, with the topic at each event."""
    stream = BytesIO(CODEC.encode(bundle)[SINGLE_OBJECT_BYTES:])
    fields = schemaless_reader(stream, parse_plain(schema_text(type(bundle).__name__)), None)
    assert isinstance(fields, dict)
    assert not stream.read()
    for each in fields["requests" if "requests" in fields else "failures"]:
        each["topic"] = fields["topic"]
    return fields


def unpacked(loads: Iterable[Event | Placed]) -> list[Event]:
    """Return the events in the order in which they travel."""
    return [event for load in loads for event in (load.bundle.events if isinstance(load, Placed) else [load])]


def requests(number: int, value: bytes = b"v") -> list[ReplayRequest]:
    return [
        ReplayRequest(
            f"p{n}",
            f"f{n}",
            "customers",
            "forward",
            f"C{n}",
            Decision.RETRY,
            False,
            Position("erp", 0, n, 1),
            OriginalRecord(b"k", value),
        )
        for n in range(number)
    ]


def placed(events: Sequence[Event], most_bytes: int = ROOMY) -> list[Event | Placed]:
    return list(in_bundles(events, lambda keys: [0] * len(keys), most_bytes))


@given(st.lists(alike_requests, min_size=1, max_size=20))
def test_bundle_of_requests_is_read_as_it_was_written(several: list[ReplayRequest]) -> None:
    bundle = ReplayBundle(tuple(several))
    assert CODEC.decode(CODEC.encode(bundle)) == bundle


@given(st.lists(alike_resolutions, min_size=1, max_size=20))
def test_bundle_of_resolutions_is_read_as_it_was_written(several: list[SyncResolved]) -> None:
    bundle = ResolvedBundle(tuple(several))
    assert CODEC.decode(CODEC.encode(bundle)) == bundle


@given(st.lists(alike_requests, min_size=1, max_size=20))
def test_any_reader_of_avro_finds_the_requests_of_a_bundle(several: list[ReplayRequest]) -> None:
    found = as_any_reader_has_it(ReplayBundle(tuple(several)))
    assert found["requests"] == [
        {
            "replay_id": each.replay_id,
            "failure_id": each.failure_id,
            "record_id": each.record_id,
            **each.position._asdict(),
            "original": each.original
            and {
                "key": each.original.key,
                "value": each.original.value,
                "headers": [{"name": name, "value": value} for name, value in each.original.headers],
            },
        }
        for each in several
    ]


@given(st.lists(alike_resolutions, min_size=1, max_size=20))
def test_any_reader_of_avro_finds_the_resolutions_of_a_bundle(several: list[SyncResolved]) -> None:
    found = as_any_reader_has_it(ResolvedBundle(tuple(several)))
    assert found["failures"] == [
        {
            "failure_id": each.failure_id,
            "record_id": each.record_id,
            "replay_id": each.replay_id,
            **(each.position or Position("", 0, 0, 0))._asdict(),
        }
        for each in several
    ]


def test_text_that_utf8_cannot_hold_is_written_with_backslashes() -> None:
    (odd,) = requests(1)
    bundle = ReplayBundle((odd._replace(record_id="C\ud800"),))
    assert CODEC.decode(CODEC.encode(bundle)) == ReplayBundle((odd._replace(record_id="C\\ud800"),))


def test_resolution_without_a_position_is_in_no_bundle() -> None:
    with pytest.raises(ValueError, match="travels alone"):
        CODEC.encode(ResolvedBundle((resolved()._replace(position=None),)))


@given(st.lists(events | alike_requests | alike_resolutions, max_size=60), st.integers(1, 3000))
def test_every_event_travels_once(several: list[Event], most_bytes: int) -> None:
    found = unpacked(in_bundles(several, first_bytes, most_bytes))
    assert sorted(map(repr, found)) == sorted(map(repr, several))


@given(st.lists(alike_requests | alike_resolutions, max_size=60), st.integers(1, 3000))
def test_events_of_one_kind_and_partition_keep_their_order(several: list[Event], most_bytes: int) -> None:
    found = unpacked(in_bundles(several, first_bytes, most_bytes))
    for kind in (ReplayRequest, SyncResolved):
        for number in range(3):
            before = [e for e in several if isinstance(e, kind) and first_byte(event_key(e)) == number]
            after = [e for e in found if isinstance(e, kind) and first_byte(event_key(e)) == number]
            assert after == before


@given(st.lists(alike_requests | alike_resolutions, max_size=60), st.integers(1, 3000))
def test_bundle_goes_to_the_partition_of_each_of_its_keys(several: list[Event], most_bytes: int) -> None:
    for load in in_bundles(several, first_bytes, most_bytes):
        if isinstance(load, Placed):
            assert {first_byte(event_key(event)) for event in load.bundle.events} == {load.partition}


@given(st.lists(alike_requests | alike_resolutions, max_size=60), st.integers(1, 3000))
def test_bundle_is_no_larger_than_wanted(several: list[Event], most_bytes: int) -> None:
    for load in in_bundles(several, first_bytes, most_bytes):
        if isinstance(load, Placed):
            assert len(CODEC.encode(load.bundle)) <= most_bytes + 300


def test_few_events_go_alone() -> None:
    few = requests(FEW - 1)
    assert placed(few) == few
    assert placed(requests(FEW)) == [Placed(ReplayBundle(tuple(requests(FEW))), 0)]


def test_request_that_is_large_goes_alone() -> None:
    large = [each._replace(original=OriginalRecord(b"k", bytes(5000))) for each in requests(FEW)]
    assert placed(large, 4000) == large


@pytest.mark.parametrize(
    "changed",
    [
        {"mapping": "items"},
        {"direction": "backward"},
        {"decision": Decision.DROP},
        {"scheduled": True},
        {"position": Position("crm", 0, 1, 1)},
    ],
    ids=str,
)
def test_requests_that_differ_in_what_a_bundle_says_once_do_not_share_one(changed: dict[str, object]) -> None:
    others = [each._replace(**changed) for each in requests(FEW)]  # type: ignore[arg-type]
    found = placed([*requests(FEW), *others])
    assert found == [
        Placed(ReplayBundle(tuple(requests(FEW))), 0),
        Placed(ReplayBundle(tuple(others)), 0),
    ]


def test_corrected_requests_and_ends_of_app_failures_go_alone() -> None:
    corrected = [each._replace(corrections={"name": '"x"'}) for each in requests(FEW)]
    apps = [resolved()._replace(position=None)] * FEW
    assert placed([*corrected, *apps]) == [*corrected, *apps]
