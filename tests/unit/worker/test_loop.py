"""Offsets of the topic that all lanes share, and which mappings share a lane."""

from schemas.config.mapping import MappingConfig
from worker.batch import Batch
from worker.lane import Done
from worker.loop import Replays
from worker.opening import split_into_lanes

REPLAY = ("group.replay", 0)


def done(offset: int) -> Done:
    """Return a batch settled up to an offset of the replay topic."""
    return Done(Batch((), (), {REPLAY: offset}), {REPLAY: offset}, {})


def test_replays_are_committed_when_every_lane_is_past_them() -> None:
    replays = Replays("group.replay", lanes=2)

    assert replays.settle(0, done(5)) == {}
    assert replays.settle(1, done(5)) == {REPLAY: 5}


def test_the_slowest_lane_says_how_far_replays_are_committed() -> None:
    replays = Replays("group.replay", lanes=2)
    replays.settle(0, done(5))
    replays.settle(0, done(9))

    assert replays.settle(1, done(3)) == {REPLAY: 3}
    assert replays.settle(1, done(9)) == {REPLAY: 9}


def test_offsets_of_source_topics_are_committed_at_once() -> None:
    replays = Replays("group.replay", lanes=2)

    assert replays.settle(0, Done(Batch((), (), {}), {("erp.customers", 1): 3}, {})) == {
        ("erp.customers", 1): 3
    }


def a_mapping(topic: str, app: str) -> MappingConfig:
    """Return the configuration of a mapping from a topic to an app."""
    return MappingConfig.model_validate(
        {
            "source": {"app": "erp", "entity": "e", "topic": topic, "key": "id"},
            "target": {"app": app, "entity": "e", "key": "id"},
            "on_delete": "ignore",
        }
    )


def test_mappings_to_one_app_or_from_one_topic_share_a_lane() -> None:
    mappings = {
        "a": a_mapping("t1", "crm"),
        "b": a_mapping("t2", "shop"),
        "c": a_mapping("t3", "crm"),
        "d": a_mapping("t4", "dwh"),
        "e": a_mapping("t2", "dwh"),
    }

    assert sorted(map(tuple, split_into_lanes(mappings))) == [("a", "c"), ("b", "d", "e")]
