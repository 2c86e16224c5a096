"""Types of PostgreSQL with a grammar of their own: a value that breaks it is its record's fault, not the app's."""

import pytest

from tests.contract.connectors.target import Target, codes, put


@pytest.mark.parametrize(
    ("column", "good", "bad"),
    [("tsvector", "a b", "a:b 'x"), ("tsquery", "a & b", "a b"), ("jsonpath", "$.a", "$.")],
)
def test_a_value_that_breaks_its_type_s_grammar_fails_its_record_alone(
    pg_database: str, column: str, good: str, bad: str
) -> None:
    target = Target("postgres", pg_database)
    target.execute(f"create table thing (id int primary key, v {column})")
    connector = target.open()

    answer = connector.write(put("thing", ("id", "v"), (1, good), (2, bad), (3, good)))

    connector.close()
    assert codes(answer) == {1: "wrong_type"}
    assert target.rows("select id from thing order by id") == [(1,), (3,)]
