"""Requests to replay on their way to a real Kafka that does not take them all."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition

from plumbing import kafka
from schemas.config.kafka import KafkaConfig
from schemas.events import Event, OriginalRecord, ReplayRequest
from sink.sending import REST_US, Sending
from sink.states import Action, State
from sink.store.entries import Replay, read_replays
from sink.store.migrate import upgrade
from sink.store.store import Store, open_store
from sink.store.transitions import close_by_hand
from tests.conftest import CreateTopic
from tests.contract.stored import NOW, entries, replayed, request, told
from tests.services.kafka import Kafka
from tests.sink_events import CODEC, failed

LARGE = OriginalRecord(b"k", bytes(range(256)) * 200, ())


@dataclass
class Outbox:
    """A sink that does nothing but send, at a time of its own; its producer is soon out of patience."""

    store: Store
    bootstrap: str
    now_us: int = NOW

    def __post_init__(self) -> None:
        config = KafkaConfig.model_validate({"bootstrap": self.bootstrap, "group": "erp-crm"})
        self.producer = kafka.producer(config, max_block_ms=300, max_request_size=30_000)
        self.sending = Sending(self.store, self.producer, CODEC, lambda *_: frozenset(), lambda: self.now_us)

    def asked(self, *events: Event) -> None:
        """Have replays of these failures asked for."""
        told(self.store, *events)
        replayed(self.store, *(entry.id for entry in entries(self.store)))

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
            found += [CODEC.decode(message.value) for message in messages]
    consumer.close()
    return [each for each in found if isinstance(each, ReplayRequest)]


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
