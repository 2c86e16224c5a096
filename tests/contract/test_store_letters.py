"""What the sink's store promises of dead letters of other programs, on PostgreSQL and on SQLite."""

from collections.abc import Sequence
from functools import partial

import pytest

from schemas.config.process import ForeignTopicConfig
from sink.batch import Batch
from sink.foreign.letter import read_letter
from sink.states import Action, Refusal, ResolvedBy, State, Verdict
from sink.store import foreign, replays
from sink.store.entries import read_original, read_replays
from sink.store.foreign import NotSent, OutgoingLetter
from sink.store.positions import read_positions
from sink.store.store import Store
from sink.store.transitions import Moved, Refused, close_by_hand
from sink.store.write_batch import Fenced, Written, decode_batch, write_batch
from tests.contract.stored import NOW, entries, only, replayed, request, told
from tests.dead_letters import OWN, Header, Message, connect
from tests.sink_events import CODEC, failed

TOPIC = "orders.dlq"
CONFIG = ForeignTopicConfig(topic=TOPIC, mapping="orders-letters")
REPLAY_ID = "123e4567-e89b-42d3-a456-426614174000"


def letter(
    offset: int, key: bytes | None = b"4711", *, headers: tuple[Header, ...] = OWN + connect()
) -> Message:
    return Message(offset, key, headers=headers, partition=0, timestamp=1_700_000_000_000 + offset)


def read(
    store: Store, messages: Sequence[Message], *, start: int | None = None, high_water: int = -1
) -> Written:
    batch = Batch(CODEC, letters={TOPIC: partial(read_letter, topic=CONFIG)})
    batch.add((TOPIC, 0), messages, start, high_water)
    written = write_batch(store, decode_batch(batch, NOW), NOW)
    assert isinstance(written, Written)
    return written


def asked(store: Store, replay_id: str = REPLAY_ID) -> None:
    asks = request()
    steps = replayed(store, only(store).id, asks=type(asks)("ann", NOW, lambda _: replay_id))
    assert steps == [Moved(only(store).id, replay_id)]


def claimed(store: Store) -> list[OutgoingLetter]:
    with store.writing() as connection:
        return foreign.claim(connection, NOW, 100)


def verdict(store: Store) -> tuple[str | None, str | None]:
    with store.reading() as connection:
        (found,) = read_replays(connection, only(store).id)
    return found.verdict, found.code


def test_letters_of_one_key_are_one_entry_with_a_count(store: Store) -> None:
    written = read(store, [letter(0), letter(1), letter(2, b"other")])
    assert written.counts["letter", "new"] == 2
    assert written.counts["letter", "repeat"] == 1
    assert written.counts["failed", "new"] == 0
    assert {entry.record_id: entry.count for entry in entries(store)} == {"4711": 2, "other": 1}
    assert {entry.origin for entry in entries(store)} == {"connect"}


def test_same_keys_of_several_original_topics_are_several_entries(store: Store) -> None:
    read(store, [letter(0), letter(1, headers=connect(topic=b"invoices"))])
    assert sorted(entry.direction for entry in entries(store)) == ["invoices", "orders"]


def test_letters_read_once_more_from_the_start_change_nothing(store: Store) -> None:
    messages = [letter(offset, b"k%d" % (offset % 3)) for offset in range(9)]
    read(store, messages)
    before = entries(store)
    written = read(store, messages, start=9, high_water=8)
    assert entries(store) == before
    assert written.counts["letter", "stale"] == 9


def test_closed_entry_stays_closed_when_its_letter_is_read_once_more(store: Store) -> None:
    read(store, [letter(0)])
    with store.writing() as connection:
        close_by_hand(connection, [only(store).id], Action.RESOLVE, request())
    read(store, [letter(0)], start=1)
    assert (only(store).state, only(store).count) == (State.RESOLVED, 1)


def test_two_sinks_that_read_the_same_letters_write_them_once(store: Store) -> None:
    read(store, [letter(0)])
    batch = Batch(CODEC, letters={TOPIC: partial(read_letter, topic=CONFIG)})
    batch.add((TOPIC, 0), [letter(0)], None, -1)
    assert write_batch(store, decode_batch(batch, NOW), NOW) == Fenced(((TOPIC, 0),))


def test_positions_are_kept_with_the_id_of_their_topic(store: Store) -> None:
    batch = Batch(CODEC, topic_ids={TOPIC: "id-1"}, letters={TOPIC: partial(read_letter, topic=CONFIG)})
    batch.add((TOPIC, 0), [letter(0)], None, -1)
    write_batch(store, decode_batch(batch, NOW), NOW)
    with store.reading() as connection:
        assert read_positions(connection, TOPIC)[TOPIC, 0].topic_id == "id-1"


def test_whole_message_is_kept_byte_for_byte(store: Store) -> None:
    headers: tuple[Header, ...] = (("h\x00\u202e<b>", b"\xff\x00"), ("h", None), *connect())
    message = Message(0, b"\xff\x00k", b"\x00\xfev", headers, partition=0)
    read(store, [message])
    with store.reading() as connection:
        original = read_original(connection, only(store).payload_id)
    assert original is not None
    assert (original.key, original.value, original.headers) == (message.key, message.value, headers)


def test_replay_is_claimed_once(store: Store) -> None:
    read(store, [letter(0)])
    asked(store)
    (claim,) = claimed(store)
    assert (claim.replay_id, claim.topic, claim.origin) == (REPLAY_ID, "orders", "connect")
    assert claim.letter is not None
    assert claim.letter.value == letter(0).value
    assert claimed(store) == []


def test_worker_requests_and_letters_are_sent_by_different_hands(store: Store) -> None:
    told(store, failed("C001", 1))
    (worker_entry,) = entries(store)
    read(store, [letter(0)])
    ids = [entry.id for entry in entries(store)]
    replayed(store, *ids)
    (mine,) = claimed(store)
    with store.writing() as connection:
        (theirs,) = replays.claim(connection, NOW, 100)
    assert theirs.request.record_id == worker_entry.record_id
    assert mine.topic == "orders"


def test_claim_that_was_left_behind_becomes_unconfirmed_and_is_not_sent_again(store: Store) -> None:
    read(store, [letter(0)])
    asked(store)
    claimed(store)
    later = NOW + 10**9
    with store.writing() as connection:
        assert replays.expired_claims(connection, later, 100) == []
        assert replays.time_out(connection, later - 1, later, 100).unconfirmed == 1
    assert only(store).state is State.UNCONFIRMED
    assert verdict(store)[0] == Verdict.UNCONFIRMED
    assert claimed(store) == []


def test_letter_that_was_sent_is_unconfirmed_until_a_person_says_so(store: Store) -> None:
    read(store, [letter(0)])
    asked(store)
    claimed(store)
    with store.writing() as connection:
        foreign.mark_unconfirmed(connection, [REPLAY_ID], NOW, sent=True)
    assert only(store).state is State.UNCONFIRMED
    assert verdict(store)[0] == Verdict.UNCONFIRMED
    with store.writing() as connection:
        steps = close_by_hand(connection, [only(store).id], Action.RESOLVE, request())
    assert steps == [Moved(only(store).id, None)]  # no worker is asked to forget it
    assert (only(store).state, only(store).resolved_by) == (State.RESOLVED, ResolvedBy.HAND)


def test_letter_that_comes_back_opens_its_entry_again(store: Store) -> None:
    read(store, [letter(0)])
    asked(store)
    claimed(store)
    with store.writing() as connection:
        foreign.mark_unconfirmed(connection, [REPLAY_ID], NOW, sent=True)
    back = letter(1, headers=(("instep-replay", REPLAY_ID.encode()), *OWN, *connect()))
    written = read(store, [back], start=1)
    assert (only(store).state, only(store).count, only(store).failed_replays) == (State.OPEN, 2, 1)
    assert verdict(store)[0] == Verdict.FAILED_AGAIN
    assert [each for each, _ in written.verdicts] == [Verdict.FAILED_AGAIN]


def test_letter_that_comes_back_before_it_is_marked_as_sent_stays_failed(store: Store) -> None:
    read(store, [letter(0)])
    asked(store)
    claimed(store)
    back = letter(1, headers=(("instep-replay", REPLAY_ID.encode()), *OWN, *connect()))
    read(store, [back], start=1)
    with store.writing() as connection:
        foreign.mark_unconfirmed(connection, [REPLAY_ID], NOW, sent=True)
    assert only(store).state is State.OPEN
    assert verdict(store)[0] == Verdict.FAILED_AGAIN


def test_replay_whose_entry_shows_another_letter_by_now_is_not_sent(store: Store) -> None:
    read(store, [letter(0)])
    asked(store)
    read(store, [letter(1)], start=1)
    assert claimed(store) == []
    assert verdict(store)[0] == Verdict.NOT_SENT
    assert only(store).state is State.OPEN


def test_replay_that_could_not_be_sent_leaves_the_entry_open_and_says_why(store: Store) -> None:
    read(store, [letter(0)])
    asked(store)
    claimed(store)
    with store.writing() as connection:
        foreign.mark_not_sent(connection, [NotSent(REPLAY_ID, "replay_topic_missing")], NOW)
    assert only(store).state is State.OPEN
    assert verdict(store) == (Verdict.NOT_SENT, "replay_topic_missing")


def test_replay_without_a_topic_is_refused(store: Store) -> None:
    read(store, [letter(0, headers=OWN)])
    assert replayed(store, only(store).id) == [Refused(only(store).id, State.OPEN, Refusal.NO_TOPIC)]


@pytest.mark.parametrize("headers", [OWN, OWN + connect()])
def test_configuration_says_where_replays_go(store: Store, headers: tuple[Header, ...]) -> None:
    read(store, [letter(0, headers=headers)])
    with store.writing() as connection:
        redirected = CONFIG.model_copy(update={"replay_to": "orders.again"})
        assert foreign.set_destinations(connection, [redirected]) == 1
        assert foreign.set_destinations(connection, [redirected]) == 0
    asked(store)
    assert [each.topic for each in claimed(store)] == ["orders.again"]


def test_configuration_that_says_no_more_gives_the_original_topic_back(store: Store) -> None:
    read(store, [letter(0)])
    with store.writing() as connection:
        foreign.set_destinations(connection, [CONFIG.model_copy(update={"replay_to": "orders.again"})])
        foreign.set_destinations(connection, [CONFIG])
    asked(store)
    assert [each.topic for each in claimed(store)] == ["orders"]
