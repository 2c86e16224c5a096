"""Portions that fit into memory."""

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from sink.store.portions import in_portions

SIZES = st.lists(st.one_of(st.none(), st.integers(0, 10)))


@given(SIZES, st.integers(1, 5), st.integers(1, 20))
def test_portions_hold_every_item_once_in_order(sizes: list[int | None], most: int, most_bytes: int) -> None:
    assert list(chain.from_iterable(in_portions(sizes, lambda size: size, most, most_bytes))) == sizes


@given(SIZES, st.integers(1, 5), st.integers(1, 20))
def test_portion_ends_where_it_has_enough_items_or_bytes(
    sizes: list[int | None], most: int, most_bytes: int
) -> None:
    for portion in in_portions(sizes, lambda size: size, most, most_bytes):
        assert 1 <= len(portion) <= most
        assert sum(size or 0 for size in portion[:-1]) < most_bytes
