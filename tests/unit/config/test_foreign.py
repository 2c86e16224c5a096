"""Dead letter topics in the configuration."""

from typing import Any

import pytest

from tests.unit.config.written import parsed, problems, written

LETTERS = {"topic": "orders.dlq", "mapping": "orders-letters"}


def wrong(*foreign: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each.path, each.what) for each in problems(written({"sink.foreign": list(foreign)}))]


def test_dead_letter_topic_needs_but_a_topic_and_a_name() -> None:
    (topic,) = parsed(written({"sink.foreign": [LETTERS]})).sink.foreign
    assert (topic.topic, topic.written_by, topic.mapping, topic.replay_to) == (
        "orders.dlq",
        "auto",
        "orders-letters",
        None,
    )


@pytest.mark.parametrize(
    ("foreign", "path", "words"),
    [
        ([LETTERS | {"mapping": "customers"}], "sink.foreign[0].mapping", "is the name of a mapping"),
        ([LETTERS | {"topic": "instep.errors"}], "sink.foreign[0].topic", "one of Instep's own topics"),
        ([LETTERS | {"topic": "erp-crm.replay"}], "sink.foreign[0].topic", "one of Instep's own topics"),
        (
            [LETTERS | {"topic": "erp.customers"}],
            "sink.foreign[0].topic",
            'source topic of mapping "customers"',
        ),
        ([LETTERS, LETTERS | {"mapping": "b"}], "sink.foreign[1].topic", "each topic is read once"),
        ([LETTERS, LETTERS | {"topic": "b"}], "sink.foreign[1].mapping", "each needs one of its own"),
        ([LETTERS | {"replay_to": "orders.dlq"}], "sink.foreign[0].replay_to", "straight back"),
        ([LETTERS | {"replay_to": "instep.errors"}], "sink.foreign[0].replay_to", "nobody waits"),
        ([LETTERS | {"topic": "a b"}], "sink.foreign[0].topic", "no name that a Kafka topic can have"),
        (
            [LETTERS | {"written_by": "flink"}],
            "sink.foreign[0].written_by",
            "must be auto, connect, spring, karafka or plain",
        ),
    ],
)
def test_refuses_what_does_not_go_together(foreign: list[dict[str, Any]], path: str, words: str) -> None:
    ((found, what),) = wrong(*foreign)
    assert found == path
    assert words in what


def test_topic_that_is_wrong_by_itself_hides_no_other_problem() -> None:
    found = wrong({"topic": "a"}, LETTERS | {"mapping": "customers"})
    assert [path for path, _ in found] == ["sink.foreign[0].mapping", "sink.foreign[1].mapping"]
