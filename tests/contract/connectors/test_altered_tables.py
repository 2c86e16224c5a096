"""The target's definition changes while the worker runs: the next write goes by the new one, and changes no value."""

import threading
from decimal import Decimal

import pytest

from tests.contract.connectors.target import Target, codes, counts, put
from tests.services.process import wait_until
from worker.connectors.protocol import Connector

COLUMNS = ("id", "email", "amount")
DDL = "create table customer (id int primary key, email varchar(20), amount decimal(10,4))"


@pytest.fixture
def customers(target: Target, connector: Connector) -> Target:
    """A table that the connector has written to already."""
    target.execute(DDL)
    assert counts(connector.write(put("customer", COLUMNS, (1, "a@x", Decimal("1.5000"))))) == (1, 0, 0, 0)
    return target


def test_a_unique_index_that_was_added_guards_the_other_records(
    customers: Target, connector: Connector
) -> None:
    customers.execute("create unique index uq_email on customer (email)")

    answer = connector.write(put("customer", COLUMNS, (2, "a@x", None), (3, "c@x", None)))

    assert codes(answer) == {0: "duplicate_key"}
    assert customers.rows("select id, email from customer order by id") == [(1, "a@x"), (3, "c@x")]


# SQLite cannot alter the type of a column
@pytest.mark.parametrize("target", ["postgres", "mariadb"], indirect=True)
@pytest.mark.parametrize("isolate", [False, True])
def test_a_decimal_that_was_narrowed_is_not_rounded_into(
    customers: Target, connector: Connector, isolate: bool
) -> None:
    change = {"postgres": "alter amount type decimal(10,2)", "mariadb": "modify amount decimal(10,2)"}
    customers.execute(f"alter table customer {change[customers.dialect]}")

    answer = connector.write(
        put("customer", COLUMNS, (2, "b@x", Decimal("1.2345")), (3, "c@x", Decimal("1.2500"))),
        isolate=isolate,
    )

    assert codes(answer) == {0: "out_of_range"}
    assert customers.rows("select id, amount from customer where id > 1") == [(3, Decimal("1.25"))]


@pytest.mark.parametrize("looks_ahead", [False, True])
@pytest.mark.parametrize("isolation", ["read committed", "repeatable read"])
def test_a_decimal_that_is_narrowed_under_way_is_not_rounded_into(
    pg_database: str, isolation: str, looks_ahead: bool
) -> None:
    target = Target("postgres", pg_database)
    target.execute(
        DDL,
        "alter table customer add constraint uq_email unique (email)",
        f"alter database {pg_database.rpartition('/')[2]} set default_transaction_isolation = '{isolation}'",
    )
    connector = target.open()
    taken = [(2, "a@x", None)] if looks_ahead else []
    connector.write(put("customer", COLUMNS, (1, "a@x", None), *taken))
    answers: list[object] = []
    writer = threading.Thread(
        target=lambda: answers.append(
            connector.write(put("customer", COLUMNS, (3, "c@x", Decimal("1.2345")), (4, "d@x", None)))
        )
    )

    with target.connect() as holder:
        holder.execute("begin")
        holder.execute("alter table customer alter amount type decimal(10,2)")
        writer.start()
        wait_until(lambda: _waits(target), timeout_s=30, what="the write waits for the table")
        holder.execute("commit")
    writer.join(60)
    connector.close()

    assert codes(answers[0]) == {0: "out_of_range"}
    assert target.rows("select id, amount from customer order by id") == [(1, None), (4, None)]


def _waits(target: Target) -> bool:
    query = (
        "select 1 from pg_stat_activity where application_name = 'instep' and wait_event_type = 'Lock' "
        "and datname = current_database()"
    )
    return bool(target.rows(query))
