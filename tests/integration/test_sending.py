"""Requests to replay on their way to a real Kafka that does not take them all."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import select

from plumbing import kafka
from schemas.bundles import MANY
from schemas.config.kafka import KafkaConfig
from schemas.events import Event, OriginalRecord, ReplayRequest, Resolution
from sink.sending import NOTED_AFTER_US, REST_US, Sending
from sink.states import Action, State
from sink.store import tables
from sink.store.entries import Replay, read_replays
from sink.store.migrate import upgrade
from sink.store.replays import CLAIM_HOLDS_US
from sink.store.store import Store, open_store
from sink.store.transitions import Moved, close_by_hand
from tests.conftest import CreateTopic
from tests.contract.stored import NOW, entries, replayed, request, told
from tests.services.kafka import Kafka
from tests.sink_events import CODEC, failed, resolved
from worker.replay import requests_in

LARGE = OriginalRecord(b"k", bytes(range(256)) * 200, ())


@dataclass
class Outbox:
    """A sink that does nothing but send, at a time of its own; its producer is soon out of patience."""

    store: Store
    bootstrap: str
    now_us: int = NOW
    sent_already: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        config = KafkaConfig.model_validate({"bootstrap": self.bootstrap, "group": "erp-crm"})
        self.producer = kafka.producer(config, max_block_ms=300, max_request_size=30_000)
        self.sending = Sending(
            self.store, self.producer, CODEC, lambda *_: self.sent_already, lambda: self.now_us
        )

    def asked(self, *events: Event) -> None:
        """Have replays of these failures asked for."""
        told(self.store, *events)
        replayed(self.store, *(entry.id for entry in entries(self.store)))

    def claimed(self, *events: Event) -> list[str]:
        """Have replays asked for by this sink; returns their ids."""
        told(self.store, *events)
        asks = replace(request(), claims=True)
        steps = replayed(self.store, *(entry.id for entry in entries(self.store)), asks=asks)
        return [step.replay_id for step in steps if isinstance(step, Moved) and step.replay_id is not None]

    def rename(self, table: str, name: str) -> None:
        with self.store.engine.begin() as connection:
            connection.exec_driver_sql(f"alter table {table} rename to {name}")

    def sent(self) -> list[int | None]:
        """Return when each replay was sent, as it is noted in the store."""
        with self.store.reading() as connection:
            return list(connection.scalars(select(tables.replay.c.sent_us)))

    def states(self) -> dict[str, State]:
        return {entry.record_id: entry.state for entry in entries(self.store)}

    def replay(self) -> Replay:
        (entry,) = entries(self.store)
        with self.store.reading() as connection:
            (found,) = read_replays(connection, entry.id)
        return found


@pytest.fixture
def outbox(kafka: Kafka, tmp_path: Path) -> Iterator[Outbox]:
    store = open_store(f"sqlite:///{tmp_path}/sink.db")
    upgrade(store.engine)
    made = Outbox(store, kafka.bootstrap)
    yield made
    made.producer.close(timeout=5)
    store.close()


def requests(bootstrap: str, topic: str) -> list[ReplayRequest]:
    """Return what stands in a topic of one partition."""
    place = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    consumer.assign([place])
    consumer.seek_to_beginning()
    end, found = consumer.end_offsets([place])[place], []
    while consumer.position(place) < end:
        for messages in consumer.poll(200).values():
            found += messages
    consumer.close()
    asked = requests_in(found, CODEC.decode, len(found) * MANY)
    assert asked.strange == 0
    return asked.requests


def messages_in(bootstrap: str, topic: str) -> int:
    """Return how many messages a topic of one partition holds."""
    place = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    number = int(consumer.end_offsets([place])[place])
    consumer.close()
    return number


def test_requests_for_a_topic_that_is_not_there_hold_up_no_others(outbox: Outbox, topic: CreateTopic) -> None:
    here, gone = topic("erp-crm.replay"), topic("unused") + ".gone"
    outbox.asked(failed("C1", 2, replay_topic=gone), failed("C2", 1, replay_topic=here))
    assert outbox.sending.send() == 1
    assert [each.record_id for each in requests(outbox.bootstrap, here)] == ["C2"]


def test_topic_that_was_not_there_is_asked_for_again_after_a_rest(
    outbox: Outbox, kafka: Kafka, topic: CreateTopic
) -> None:
    late = topic("unused") + ".late"
    outbox.asked(failed("C1", 1, replay_topic=late))
    assert outbox.sending.send() == 0
    kafka.create_topic(late)
    outbox.now_us += REST_US - 1
    assert outbox.sending.send() == 0
    outbox.now_us += 1
    assert outbox.sending.send() == 1


def test_request_that_is_too_large_goes_without_the_message_which_the_worker_reads_itself(
    outbox: Outbox, topic: CreateTopic
) -> None:
    here = topic("erp-crm.replay")
    outbox.asked(failed(replay_topic=here, original=LARGE))
    assert outbox.sending.send() == 1
    (request,) = requests(outbox.bootstrap, here)
    assert (request.original, request.position) == (None, failed().position)


def test_request_that_its_topic_refuses_as_too_large_is_not_sent_and_its_entry_open_again(
    outbox: Outbox, topic: CreateTopic
) -> None:
    here = topic("erp-crm.replay", config={"max.message.bytes": "100"})
    outbox.asked(failed(replay_topic=here, retry_s=0))
    assert outbox.sending.send() == 0
    assert outbox.states() == {"C001": State.OPEN}
    assert (outbox.replay().verdict, outbox.replay().code) == ("not_sent", "replay_not_taken")


def test_name_that_no_topic_can_have_ends_its_request_alone(outbox: Outbox, topic: CreateTopic) -> None:
    outbox.asked(failed("C1", 1, replay_topic="no topic"), failed("C2", 2, replay_topic=topic()))
    assert outbox.sending.send() == 1
    assert outbox.states() == {"C1": State.OPEN, "C2": State.REPLAYING}


def test_request_to_forget_carries_no_message(outbox: Outbox, topic: CreateTopic) -> None:
    here = topic("erp-crm.replay")
    told(outbox.store, failed(replay_topic=here))
    with outbox.store.writing() as connection:
        close_by_hand(connection, [entries(outbox.store)[0].id], Action.DISCARD, request())
    assert outbox.sending.send() == 1
    assert [each.original for each in requests(outbox.bootstrap, here)] == [None]


def test_many_requests_travel_together_in_their_order(outbox: Outbox, topic: CreateTopic) -> None:
    here = topic("erp-crm.replay")
    outbox.asked(*(failed(f"C{n:02}", n, replay_topic=here) for n in range(40)))
    assert outbox.sending.send() == 40
    assert sorted(each.record_id for each in requests(outbox.bootstrap, here)) == [
        f"C{n:02}" for n in range(40)
    ]
    assert messages_in(outbox.bootstrap, here) == 2


@pytest.mark.parametrize("config", [None, {"max.message.bytes": "4000"}], ids=["the client", "the topic"])
def test_requests_that_are_too_large_together_go_one_by_one(
    outbox: Outbox, topic: CreateTopic, config: dict[str, str] | None
) -> None:
    here = topic("erp-crm.replay", config=config)
    original = OriginalRecord(b"k", os.urandom(1500))
    outbox.asked(*(failed(f"C{n:02}", n, replay_topic=here, original=original) for n in range(30)))
    assert outbox.sending.send() == 30
    assert len({each.record_id for each in requests(outbox.bootstrap, here)}) == 30


def test_many_requests_for_a_name_that_no_topic_can_have_end_alone(
    outbox: Outbox, topic: CreateTopic
) -> None:
    names = [f"C{n:02}" for n in range(20)]
    outbox.asked(*(failed(each, n, replay_topic="no topic") for n, each in enumerate(names)))
    assert outbox.sending.send() == 0
    assert outbox.states() == dict.fromkeys(names, State.OPEN)


def test_few_claimed_requests_are_noted_as_sent_at_once(outbox: Outbox, topic: CreateTopic) -> None:
    here = topic("erp-crm.replay")
    outbox.sending.send_claimed(outbox.claimed(failed(replay_topic=here)), NOW)
    assert [each.record_id for each in requests(outbox.bootstrap, here)] == ["C001"]
    assert outbox.sent() == [NOW]


def test_many_claimed_requests_are_noted_later_unless_their_answers_are_faster(
    outbox: Outbox, topic: CreateTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = topic("erp-crm.replay")
    monkeypatch.setattr("sink.sending.AT_ONCE", 2)
    first, _ = outbox.claimed(failed("C1", 1, replay_topic=here), failed("C2", 2, replay_topic=here))
    outbox.sending.send_claimed([first, _], NOW)
    assert (len(requests(outbox.bootstrap, here)), outbox.sent()) == (2, [None, None])
    told(outbox.store, resolved(failed("C1", 1), Resolution.REPLAY, replay_id=first))
    outbox.now_us += NOTED_AFTER_US
    outbox.sending.send()
    assert sorted(outbox.sent(), key=str) == [NOW, None]


def test_what_was_sent_is_noted_when_the_sink_ends(
    outbox: Outbox, topic: CreateTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sink.sending.AT_ONCE", 1)
    outbox.sending.send_claimed(outbox.claimed(failed(replay_topic=topic("erp-crm.replay"))), NOW)
    assert outbox.sent() == [None]
    outbox.sending.close()
    assert outbox.sent() == [NOW]


def test_sink_ends_though_its_store_is_away_and_what_was_sent_is_found_in_the_topic(
    outbox: Outbox, topic: CreateTopic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sink.sending.AT_ONCE", 1)
    outbox.sending.send_claimed(outbox.claimed(failed(replay_topic=topic("erp-crm.replay"))), NOW)
    outbox.rename("instep_replay", "away")
    outbox.sending.close()
    outbox.rename("away", "instep_replay")
    outbox.now_us += CLAIM_HOLDS_US + 1
    outbox.sent_already = frozenset({outbox.replay().id})
    assert outbox.sending.recover()["found"] == 1
    assert outbox.sent() == [outbox.now_us]


def test_claimed_requests_that_their_topic_does_not_take_are_given_back(
    outbox: Outbox, kafka: Kafka, topic: CreateTopic
) -> None:
    late = topic("unused") + ".late"
    outbox.sending.send_claimed(outbox.claimed(failed(replay_topic=late)), NOW)
    assert not outbox.sending.may_claim()
    kafka.create_topic(late)
    outbox.now_us += REST_US
    assert outbox.sending.may_claim()
    assert outbox.sending.send() == 1
