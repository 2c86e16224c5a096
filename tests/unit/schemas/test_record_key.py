"""The key under which all events of a record stay in one partition: it may never change, not by a byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import record_key

TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text('\x00\x1f"\\/\x7f\u2028ü😀')


@given(TEXTS, TEXTS, TEXTS)
def test_a_key_is_the_json_of_mapping_direction_and_record(mapping: str, direction: str, record: str) -> None:
    text = json.dumps([mapping, direction, record], ensure_ascii=False, separators=(",", ":"))

    assert record_key(mapping, direction, record) == text.encode()


def test_a_record_whose_id_utf_8_cannot_hold_has_no_key() -> None:
    with pytest.raises(UnicodeEncodeError):
        record_key("customers", "forward", "\ud800")
