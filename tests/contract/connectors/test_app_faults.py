"""The app itself is broken, gone or refuses us: nothing is written, one fault for all, and it works again after."""

import datetime as dt
import sqlite3
import threading
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import make_url

from tests.contract.connectors.target import Target, counts, put
from tests.services.mariadb import LOCKS_SHOWN_AFTER_S, MariaDb, MariaDbServer
from tests.services.postgres import Postgres, PostgresServer
from tests.services.process import wait_until
from worker.connectors.protocol import Connector, Refused, Written
from worker.connectors.sql.connector import open_sql

COLUMNS = ("id", "name")
ROW = (1, "Ada")
DDL = "create table customer (id int primary key, name varchar(20))"


def refusal(answer: object) -> str:
    assert isinstance(answer, Refused), answer
    assert "hush" not in repr(answer)
    return answer.fault.code


def write(connector: Connector, *rows: tuple[Any, ...]) -> object:
    return connector.write(put("customer", COLUMNS, *(rows or (ROW,))))


def test_a_table_that_is_not_there_is_refused_and_works_once_it_is(
    target: Target, connector: Connector
) -> None:
    assert refusal(write(connector)) == "entity_missing"
    target.execute(DDL)
    assert counts(write(connector)) == (1, 0, 0, 0)


def test_a_table_dropped_under_way_is_refused_and_works_once_it_is_back(
    target: Target, connector: Connector
) -> None:
    target.execute(DDL)
    write(connector)
    target.execute("drop table customer")

    assert refusal(write(connector, (2, "Bo"))) == "entity_missing"
    target.execute(DDL)
    assert counts(write(connector, (2, "Bo"))) == (1, 0, 0, 0)


def test_a_column_renamed_under_way_is_refused_and_named(target: Target, connector: Connector) -> None:
    target.execute(DDL)
    write(connector)
    target.execute("alter table customer rename column name to title")

    assert refusal(write(connector, (2, "Bo"))) == "field_missing"
    answer = write(connector, (2, "Bo"))
    assert isinstance(answer, Refused)
    assert answer.fault.parameters == {"entity": "customer", "column": "name"}


def test_a_column_added_under_way_changes_nothing(target: Target, connector: Connector) -> None:
    target.execute(DDL)
    write(connector)
    target.execute("alter table customer add column city varchar(9)")

    assert counts(write(connector, (2, "Bo"))) == (1, 0, 0, 0)


def test_a_write_with_another_set_of_columns_goes_beside_the_first(
    target: Target, connector: Connector
) -> None:
    target.execute(DDL)
    write(connector)

    assert counts(connector.write(put("customer", ("id",), (1,), (2,)))) == (1, 0, 1, 0)


def test_describe_tells_of_a_missing_table(target: Target, connector: Connector) -> None:
    assert refusal(connector.describe("nothing")) == "entity_missing"


def test_after_close_the_next_write_opens_again(target: Target, connector: Connector) -> None:
    target.execute(DDL)
    write(connector)
    connector.close()

    assert counts(write(connector)) == (0, 0, 1, 0)


def test_a_wrong_password_is_a_refused_login(server: Target) -> None:
    url = make_url(server.url).set(password="hush").render_as_string(hide_password=False)

    assert refusal(write(server.open(url))) == "login_failed"


def test_a_missing_database_is_told(server: Target) -> None:
    url = make_url(server.url).set(database="nowhere").render_as_string(hide_password=False)

    assert refusal(write(server.open(url))) == "entity_missing"


def test_a_server_that_does_not_answer_is_unavailable(server: Target) -> None:
    url = make_url(server.url).set(port=1).render_as_string(hide_password=False)

    assert refusal(write(server.open(url))) == "unavailable"


def test_a_missing_sqlite_file_is_unavailable_and_not_created(tmp_path: Any) -> None:
    connector = open_sql(f"sqlite:///{tmp_path / 'absent.db'}", {})

    assert refusal(write(connector)) == "unavailable"
    assert not (tmp_path / "absent.db").exists()


def test_a_busy_sqlite_database_is_unavailable_and_works_again(sqlite_path: Any) -> None:
    holder = sqlite3.connect(sqlite_path, isolation_level=None)
    holder.execute(DDL)
    connector = open_sql(f"sqlite:///{sqlite_path}", {"lock_timeout_s": 0.1})
    write(connector)
    holder.execute("begin immediate")

    assert refusal(write(connector, (2, "Bo"))) == "unavailable"
    holder.execute("rollback")
    assert counts(write(connector, (2, "Bo"))) == (1, 0, 0, 0)
    connector.close()
    holder.close()


def test_a_read_only_sqlite_database_is_in_maintenance(sqlite_path: Any) -> None:
    holder = sqlite3.connect(sqlite_path, isolation_level=None)
    holder.execute(DDL)
    holder.close()
    connector = open_sql(f"sqlite:///{sqlite_path}", {})
    assert isinstance(write(connector), Written)
    connector._guarded(lambda bulk: bulk._connection.execute("pragma query_only = on"))  # type: ignore[attr-defined]

    assert refusal(write(connector, (2, "Bo"))) == "app_in_maintenance"


def test_a_full_sqlite_database_has_used_up_its_quota(sqlite_path: Any) -> None:
    holder = sqlite3.connect(sqlite_path, isolation_level=None)
    holder.execute("create table customer (id int primary key, name text)")
    holder.close()
    connector = open_sql(f"sqlite:///{sqlite_path}", {})
    write(connector)
    connector._guarded(lambda bulk: bulk._connection.execute("pragma max_page_count = 5"))  # type: ignore[attr-defined]

    assert refusal(write(connector, *((number, "x" * 4000) for number in range(2, 60)))) == "quota_exceeded"
    assert counts(write(connector, (2, "Bo"))) == (1, 0, 0, 0)


def test_a_read_only_database_is_in_maintenance_and_works_after(server: Target) -> None:
    server.execute(DDL)
    connector = server.open()
    write(connector)
    _read_only(connector, server, on=True)

    assert refusal(write(connector, (2, "Bo"))) == "app_in_maintenance"
    assert counts(write(connector, (2, "Bo"))) == (1, 0, 0, 0)


def _read_only(connector: Any, server: Target, *, on: bool) -> None:
    statement = {
        "postgres": f"set default_transaction_read_only = {'on' if on else 'off'}",
        "mariadb": f"set session transaction read {'only' if on else 'write'}",
    }[server.dialect]
    connector._bulk._connection.cursor().execute(statement)
    connector._bulk._connection.commit()


@pytest.fixture
def stranger(server: Target) -> Any:
    """The URL of a user who may do nothing yet, and how to give and take."""
    name = f"u{uuid4().hex[:10]}"
    if server.dialect == "postgres":
        server.execute(f"create role {name} login password 'hush'")
        user = name
    else:
        server.execute(f"create user {name}@'%' identified by 'hush'")
        database = make_url(server.url).database
        server.execute(f"grant create temporary tables on {database}.* to {name}@'%'")
        user = f"{name}@'%'"
    url = make_url(server.url).set(username=name, password="hush").render_as_string(hide_password=False)
    yield url, user
    if server.dialect == "postgres":
        server.execute(f"drop owned by {name}")
    server.execute(f"drop {'role' if server.dialect == 'postgres' else 'user'} {user}")


def test_a_grant_lost_under_way_is_refused_and_works_once_it_is_back(
    server: Target, stranger: tuple[str, str]
) -> None:
    url, user = stranger
    server.execute(DDL, f"grant select, insert, update, delete on customer to {user}")
    connector = server.open(url)
    assert counts(write(connector)) == (1, 0, 0, 0)
    server.execute(f"revoke insert on customer from {user}")

    assert refusal(write(connector, (2, "Bo"))) == "permission_denied"
    server.execute(f"grant insert on customer to {user}")
    assert counts(write(connector, (2, "Bo"))) == (1, 0, 0, 0)
    connector.close()


def test_check_names_missing_privileges_and_tables(server: Target, stranger: tuple[str, str]) -> None:
    url, user = stranger
    server.execute(DDL, f"grant select, insert on customer to {user}")
    connector = server.open(url)

    faults = connector.check(["customer", "nothing"])

    found = {fault.code: dict(fault.parameters) for fault in faults}
    assert found == {
        "permission_denied": {"entity": "customer", "privileges": "UPDATE, DELETE"},
        "entity_missing": {"entity": "nothing"},
    }
    connector.close()


def test_check_is_content_with_the_right_privileges(server: Target, stranger: tuple[str, str]) -> None:
    url, user = stranger
    server.execute(DDL, f"grant select, insert, update, delete on customer to {user}")
    connector = server.open(url)

    assert list(connector.check(["customer"])) == []
    connector.close()


def test_check_finds_an_administrator_as_integration_user(server: Target) -> None:
    server.execute(DDL)

    assert "integration_user_is_admin" in [fault.code for fault in server.open().check(["customer"])]


def test_check_finds_a_password_that_expires_soon(pg_database: str) -> None:
    name = f"u{uuid4().hex[:10]}"
    target = Target("postgres", pg_database)
    target.execute(f"create role {name} login password 'hush' valid until '{_in_days(3)}'")
    url = make_url(pg_database).set(username=name, password="hush").render_as_string(hide_password=False)
    connector = open_sql(url, {})

    faults = {fault.code: dict(fault.parameters) for fault in connector.check([])}

    connector.close()
    target.execute(f"drop role {name}")
    assert faults == {"password_expired": {"user": name, "days": "3"}}


def _in_days(days: int) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(days=days)).isoformat()


def test_a_password_that_must_be_changed_is_told(mariadb: MariaDb, mariadb_database: str) -> None:
    name = f"u{uuid4().hex[:10]}"
    mariadb.execute(f"create user {name}@'%' identified by 'hush' password expire")
    mariadb.execute(f"grant select, insert on *.* to {name}@'%'")
    url = make_url(mariadb_database).set(username=name, password="hush").render_as_string(hide_password=False)

    code = refusal(write(open_sql(url, {})))

    mariadb.execute(f"drop user {name}@'%'")
    assert code in {"password_must_change", "password_expired"}


def test_a_locked_account_is_told(mariadb: MariaDb, mariadb_database: str) -> None:
    name = f"u{uuid4().hex[:10]}"
    mariadb.execute(f"create user {name}@'%' identified by 'hush' account lock")
    url = make_url(mariadb_database).set(username=name, password="hush").render_as_string(hide_password=False)

    code = refusal(write(open_sql(url, {})))

    mariadb.execute(f"drop user {name}@'%'")
    assert code == "integration_user_disabled"


def test_a_role_without_login_is_told(pg_database: str) -> None:
    name = f"u{uuid4().hex[:10]}"
    target = Target("postgres", pg_database)
    target.execute(f"create role {name} nologin password 'hush'")
    url = make_url(pg_database).set(username=name, password="hush").render_as_string(hide_password=False)

    code = refusal(write(open_sql(url, {})))

    target.execute(f"drop role {name}")
    assert code == "integration_user_disabled"


def test_a_connection_ended_by_the_server_is_opened_again(server: Target) -> None:
    server.execute(DDL)
    connector = server.open()
    write(connector)
    _end_connections(server)

    assert refusal(write(connector, (2, "Bo"))) == "connection_lost"
    assert counts(write(connector, (2, "Bo"))) == (1, 0, 0, 0)


def _end_connections(server: Target) -> None:
    if server.dialect == "postgres":
        server.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where application_name = 'instep' and datname = current_database()"
        )
        return
    for (number,) in server.rows(
        "select id from information_schema.processlist where db = database() and id <> connection_id()"
    ):
        server.execute(f"kill connection {number}")


@pytest.fixture(params=["postgres", "mariadb"])
def own(request: pytest.FixtureRequest) -> tuple[Target, PostgresServer | MariaDbServer]:
    """A database in a server of its own, to be stopped and killed."""
    running = request.getfixturevalue(f"own_{request.param}")
    where: Postgres | MariaDb = getattr(running, request.param)
    return Target(request.param, where.url(where.create_database())), running


def test_a_restarted_server_is_found_again(own: tuple[Target, PostgresServer | MariaDbServer]) -> None:
    target, running = own
    target.execute(DDL)
    connector = target.open()
    write(connector)
    running.stop()

    assert refusal(write(connector, (2, "Bo"))) in {"connection_lost", "unavailable"}
    assert refusal(write(connector, (2, "Bo"))) == "unavailable"
    running.start()
    assert counts(write(connector, (2, "Bo"))) == (1, 0, 0, 0)
    connector.close()


def test_a_server_killed_in_the_middle_of_a_bulk_loses_nothing_and_halves_nothing(
    own: tuple[Target, PostgresServer | MariaDbServer],
) -> None:
    target, running = own
    target.execute("create table customer (id int primary key, name varchar(200))")
    connector = target.open(lock_timeout_s=60)
    rows = [(number, "x" * 150) for number in range(20_000)]
    holder = target.connect()
    holder.cursor().execute("begin")
    holder.cursor().execute("insert into customer values (15000, 'held')")
    answers: list[object] = []
    writer = threading.Thread(target=lambda: answers.append(write(connector, *rows)))
    writer.start()
    _wait_for_lock(target)
    running.kill()
    writer.join(60)
    holder.close()

    assert refusal(answers[0]) in {"connection_lost", "unavailable"}
    running.start()
    there = target.rows("select count(*) from customer")[0][0]
    assert there == 0
    assert counts(write(connector, *rows)) == (20_000, 0, 0, 0)
    connector.close()


def _wait_for_lock(target: Target) -> None:
    """Until the bulk has come as far as the row that is held."""
    query = {
        "postgres": "select count(*) from pg_stat_activity where application_name = 'instep' and wait_event_type = 'Lock'",
        "mariadb": "select count(*) from information_schema.innodb_trx where trx_state = 'LOCK WAIT'",
    }[target.dialect]
    wait_until(
        lambda: target.rows(query)[0][0] > 0,
        timeout_s=30,
        what="the bulk waits for a lock",
        every_s=LOCKS_SHOWN_AFTER_S,
    )
