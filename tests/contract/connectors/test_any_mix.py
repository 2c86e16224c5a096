"""Whatever good and bad records come together, exactly the good ones are written and the bad ones reported."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contract.connectors.target import Target, put, written
from worker.connectors.protocol import Connector

COLUMNS = ("id", "name", "code", "qty", "parent")
FLAWS: dict[str, dict[str, Any]] = {
    "too_long": {"name": "hush-" * 9},
    "required_missing": {"name": None},
    "out_of_range": {"qty": 99_999},
    "wrong_type": {"qty": "hush"},
    "reference_missing": {"parent": 404},
    "duplicate_key": {"code": "taken"},
    "rejected_by_app": {"qty": 13},
}
records = st.dictionaries(
    st.integers(1, 60),
    st.one_of(st.none(), st.sampled_from(sorted(FLAWS)), st.just("delete"), st.just("delete of a parent's")),
    max_size=40,
)


@pytest.fixture
def filled(target: Target) -> Target:
    target.execute(
        "create table parent (id int primary key)",
        "insert into parent values (1)",
        "create table thing (id int primary key, name varchar(10) not null, code varchar(20), qty smallint, parent int, "
        "constraint uq_code unique (code), constraint fk_parent foreign key (parent) references parent (id), "
        "constraint ck_qty check (qty <> 13))",
        "create table part (id int primary key, thing int, constraint fk_thing foreign key (thing) references thing (id))",
    )
    return target


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mix=records, there=st.sets(st.integers(1, 60)), isolate=st.booleans())
def test_any_mix_ends_with_the_good_written_and_the_bad_reported(
    filled: Target, connector: Connector, mix: dict[int, str | None], there: set[int], isolate: bool
) -> None:
    held = {number for number, flaw in mix.items() if flaw == "delete of a parent's"}
    before = {0: "taken", **dict.fromkeys(there | held, "old")}
    _reset(filled, before, held)
    rows = [_row(number, FLAWS.get(flaw or "", {})) for number, flaw in mix.items() if not _is_delete(flaw)]
    deletes = [(number,) for number, flaw in mix.items() if _is_delete(flaw)]

    answer = written(connector.write(put("thing", COLUMNS, *rows, deletes=deletes), isolate=isolate))

    reported = {rows[place][0]: fault.code for place, fault in answer.row_faults.items()}
    assert reported == {number: flaw for number, flaw in mix.items() if flaw in FLAWS}
    assert {deletes[place][0] for place in answer.delete_faults} == held
    good = {number for number, flaw in mix.items() if flaw is None}
    gone = {number for number, flaw in mix.items() if flaw == "delete"}
    expected = {**before, **dict.fromkeys(good, "new")}
    assert dict(filled.rows("select id, name from thing")) == {
        n: v for n, v in expected.items() if n not in gone
    }
    assert (answer.inserted, answer.modified) == (len(good - before.keys()), len(good & before.keys()))
    assert "hush" not in repr(answer)


def _is_delete(flaw: str | None) -> bool:
    return flaw is not None and flaw.startswith("delete")


def _row(number: int, values: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(
        {"id": number, "name": "new", "code": f"c{number}", "qty": 1, "parent": 1, **values}.values()
    )


def _reset(target: Target, before: dict[int, str], held: set[int]) -> None:
    things = ", ".join(
        f"({number}, '{name}', {repr('taken') if number == 0 else 'null'})" for number, name in before.items()
    )
    parts = [f"insert into part values ({number}, {number})" for number in held]
    target.execute(
        "delete from part", "delete from thing", f"insert into thing (id, name, code) values {things}", *parts
    )
