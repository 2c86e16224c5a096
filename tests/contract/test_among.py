"""Which of many texts a column has, on both databases."""

import pytest
from sqlalchemy import Column, MetaData, Table, Text, insert, select

from plumbing.database import among, among_found, open_engine

ODD = [
    "",
    "NULL",
    "null",
    "a,b",
    'q"uote',
    "back\\slash",
    '\\"',
    "{}",
    "'",
    " space ",
    "line\n",
    "ü→",
    "%s",
    ":name",
]
texts = Table("texts", MetaData(), Column("text", Text, nullable=False))


def those_of(url: str, values: list[str]) -> list[str]:
    """Return which of all odd texts are among the values, by either condition."""
    engine = open_engine(url)
    try:
        with engine.begin() as connection:
            texts.create(connection)
            connection.execute(insert(texts), [{"text": each} for each in ODD])
            looked_up, filtered = (
                sorted(
                    connection.scalars(
                        select(texts.c.text).where(condition(connection, texts.c.text, values))
                    )
                )
                for condition in (among, among_found)
            )
            assert filtered == looked_up
            return looked_up
    finally:
        engine.dispose()


@pytest.mark.parametrize("value", ODD)
def test_a_text_is_found_as_it_is_and_no_other(database_url: str, value: str) -> None:
    assert those_of(database_url, ["none", value]) == [value]


def test_all_texts_are_found_with_one_question(database_url: str) -> None:
    assert those_of(database_url, ODD) == sorted(ODD)


def test_among_no_texts_is_none(database_url: str) -> None:
    assert those_of(database_url, []) == []
