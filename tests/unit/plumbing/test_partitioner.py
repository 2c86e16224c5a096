"""Keys go to the partitions that the client's own partitioner chooses."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kafka.partitioner import DefaultPartitioner
from kafka.partitioner import murmur2 as of_client

from plumbing.partitioner import KeyPartitioner, murmur2, murmur2_of_each


class Cluster:
    """What the client knows of a topic `known`."""

    def __init__(self, partitions: set[int]) -> None:
        self._partitions = partitions

    def topics(self) -> set[str]:
        """Return the topics that are known."""
        return {"known"}

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """Return the partitions of a topic."""
        return set(self._partitions) if topic == "known" else None

    available_partitions_for_topic = partitions_for_topic


def chosen(by: Any, key: bytes | None, partitions: set[int]) -> Any:
    """Return the partition that a partitioner chooses."""
    return by.partition("known", None, key, None, b"", Cluster(partitions))


@given(st.binary(max_size=100))
def test_a_key_has_the_hash_that_the_client_gives_it(key: bytes) -> None:
    assert murmur2(key) == of_client(key)


@given(st.lists(st.binary(max_size=40) | st.binary(min_size=8, max_size=9), max_size=30))
def test_each_of_many_keys_has_the_hash_that_the_client_gives_it(keys: list[bytes]) -> None:
    assert murmur2_of_each(keys) == [of_client(key) for key in keys]


@given(st.binary(max_size=40), st.sets(st.integers(0, 40), min_size=1))
def test_a_key_goes_where_the_client_would_send_it(key: bytes, partitions: set[int]) -> None:
    assert chosen(KeyPartitioner(), key, partitions) == chosen(DefaultPartitioner(), key, partitions)


def test_without_a_key_any_partition_is_chosen() -> None:
    assert chosen(KeyPartitioner(), None, {3}) == 3


def test_a_topic_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="other"):
        KeyPartitioner().partition("other", None, b"key", None, b"", Cluster({0}))
