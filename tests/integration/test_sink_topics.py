"""What a sink makes of an error topic that is missing, is created anew, or has dropped what nobody had read."""

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from kafka.errors import TopicAlreadyExistsError

from tests.conftest import CreateTopic
from tests.integration.sink_running import RunningSink, SinkSetup, eventually, running, send
from tests.services.kafka import Kafka
from tests.sink_events import failed


@pytest.fixture
def setup(kafka: Kafka, topic: CreateTopic, tmp_path: Path) -> SinkSetup:
    store_url = f"sqlite:///{tmp_path}/sink.db"
    return SinkSetup(
        tmp_path, kafka.bootstrap, topic("errors", partitions=3), "erp-crm.replay", store_url, {}
    )


def by_state(setup: SinkSetup) -> Counter[str]:
    return Counter(str(entry.state) for entry in setup.entries())


def test_topic_that_does_not_exist_is_told_and_waited_for(setup: SinkSetup, kafka: Kafka) -> None:
    missing = replace(setup, topic=f"{setup.topic}.later")
    sink = RunningSink(missing)
    try:
        eventually(lambda: "topics create" in sink.get("/readyz")[1])
        kafka.create_topic(missing.topic)
        send(missing.bootstrap, missing.topic, [failed()])
        eventually(lambda: len(missing.entries()) == 1)
    finally:
        sink.kill()


@pytest.mark.parametrize("under_way", [True, False], ids=["while the sink runs", "while no sink runs"])
def test_topic_that_is_created_anew_is_read_from_its_start(
    setup: SinkSetup, kafka: Kafka, under_way: bool
) -> None:
    send(setup.bootstrap, setup.topic, [failed(f"old {number}", number) for number in range(30)])
    with running(setup):
        eventually(lambda: by_state(setup) == {"open": 30})
        if under_way:
            _create_anew(setup, kafka)
            eventually(lambda: by_state(setup) == {"open": 90})
    if not under_way:
        _create_anew(setup, kafka)
        with running(setup):
            eventually(lambda: by_state(setup) == {"open": 90})


def test_messages_that_the_topic_dropped_before_they_were_read_are_told_once(
    setup: SinkSetup, kafka: Kafka
) -> None:
    one = replace(setup, topic=f"{setup.topic}.short")
    kafka.create_topic(one.topic)
    send(one.bootstrap, one.topic, [failed("read", 1)])
    with running(one):
        eventually(lambda: by_state(one) == {"open": 1})
    send(one.bootstrap, one.topic, [failed(f"dropped {number}", number) for number in range(2, 7)])
    kafka.delete_records(one.topic, before=6)
    with running(one) as sink:
        send(one.bootstrap, one.topic, [failed("later", 8)])
        eventually(lambda: by_state(one) == {"open": 2})
        assert "instep_sink_missed_messages_total 5.0" in sink.get("/metrics")[1]
        assert "instep_sink_last_missed_timestamp_seconds 0.0" not in sink.get("/metrics")[1]
        assert "dropped messages before they were read" in sink.log.read_text()
    with running(one) as sink:
        eventually(lambda: "ingesting" in sink.log.read_text())
        assert "instep_sink_missed_messages_total 0.0" in sink.get("/metrics")[1]


def test_messages_that_were_told_as_dropped_are_not_counted_again_when_partitions_move(
    setup: SinkSetup, kafka: Kafka
) -> None:
    one = replace(setup, topic=f"{setup.topic}.moved")
    kafka.create_topic(one.topic)
    send(one.bootstrap, one.topic, [failed("read", 1)])
    with running(one):
        eventually(lambda: by_state(one) == {"open": 1})
    send(one.bootstrap, one.topic, [failed(f"dropped {number}", number) for number in range(2, 7)])
    kafka.delete_records(one.topic, before=6)
    with running(one) as sink:
        eventually(lambda: "instep_sink_missed_messages_total 5.0" in sink.get("/metrics")[1])
        places = sink.log.read_text().count("ingesting")
        with running(one):
            pass
        eventually(lambda: sink.log.read_text().count("ingesting") > places)
        assert "instep_sink_missed_messages_total 5.0" in sink.get("/metrics")[1]


def _create_anew(setup: SinkSetup, kafka: Kafka) -> None:
    """Delete the topic and create it again, with more in it than before."""
    kafka.delete_topic(setup.topic)
    eventually(partial(_is_created, setup, kafka))
    send(setup.bootstrap, setup.topic, [failed(f"new {number}", number) for number in range(60)])


def _is_created(setup: SinkSetup, kafka: Kafka) -> bool:
    try:
        kafka.create_topic(setup.topic, partitions=3)
    except TopicAlreadyExistsError:  # the deletion takes a moment
        return False
    return True
