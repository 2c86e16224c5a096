# ruff: noqa: ISC004  messages too long for a line
import sqlite3

import pymysql
import pytest

from schemas.scrub import scrub
from worker.connectors.sql.connector import open_sql
from worker.connectors.sql.errors import Reach
from worker.connectors.sql.mariadb.errors import diagnose
from worker.connectors.sql.quoting import backquoted, double_quoted, split_entity
from worker.connectors.sql.sqlite.errors import diagnose as diagnose_sqlite


@pytest.mark.parametrize(
    ("number", "message", "code", "parameters"),
    [
        (
            1062,
            "Duplicate entry 'hush' for key 'x' for key 'uq_email'",
            "duplicate_key",
            {"constraint": "uq_email"},
        ),
        (
            1062,
            "Duplicate entry 'hush' for key 'account.uq_email'",
            "duplicate_key",
            {"constraint": "uq_email"},
        ),
        (1406, "Data too long for column 'name' at row 1", "too_long", {"field": "name"}),
        (
            1366,
            "Incorrect integer value: 'hush' for column `d`.`t`.`qty` at row 1",
            "wrong_type",
            {"field": "qty"},
        ),
        (1048, "Column 'name' cannot be null", "required_missing", {"field": "name"}),
        (1364, "Field 'name' doesn't have a default value", "required_missing", {"field": "name"}),
        (
            1292,
            "Incorrect datetime value: 'hush' for column `d`.`t`.`at` at row 1",
            "out_of_range",
            {"field": "at"},
        ),
        (
            1452,
            "Cannot add or update a child row: a foreign key constraint fails (`d`.`t`, CONSTRAINT `fk` FOREIGN KEY (`p`) "
            "REFERENCES `parent` (`id`))",
            "reference_missing",
            {"constraint": "fk"},
        ),
        (1820, "You must SET PASSWORD before executing this statement", "password_must_change", {}),
        (1862, "Your password has expired", "password_expired", {}),
        (1045, "Access denied for user 'hush'@'localhost' (using password: YES)", "login_failed", {}),
        (1040, "Too many connections", "unavailable", {}),
        (1021, "Disk full (/tmp/hush); waiting for someone to free some space", "quota_exceeded", {}),
        (1290, "The MariaDB server is running with the --read-only option", "app_in_maintenance", {}),
        (1213, "Deadlock found when trying to get lock", "deadlock", {}),
        (2013, "Lost connection to MySQL server during query", "connection_lost", {}),
    ],
)
def test_an_error_of_mariadb_is_told_by_its_number(
    number: int, message: str, code: str, parameters: dict[str, str]
) -> None:
    fault = diagnose(pymysql.err.OperationalError(number, message)).fault

    assert (fault.code, fault.parameters) == (code, parameters)
    assert "hush" not in repr(fault)


def test_codes_reach_as_far_as_what_they_are_about() -> None:
    assert diagnose(pymysql.err.OperationalError(1213, "")).reach is Reach.TRY_AGAIN
    assert diagnose(pymysql.err.OperationalError(1142, "")).reach is Reach.APP
    assert diagnose(pymysql.err.OperationalError(1062, "")).reach is Reach.RECORD


def test_a_constraint_of_sqlite_names_its_column() -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("create table t (a text not null, b int unique)")
    with pytest.raises(sqlite3.IntegrityError) as raised:
        connection.execute("insert into t values (null, 1)")
    connection.close()

    fault = diagnose_sqlite(raised.value).fault

    assert (fault.code, fault.parameters) == ("required_missing", {"field": "a"})


@pytest.mark.parametrize(
    ("message", "values", "expected"),
    [
        ("customer Ada is blocked", ["Ada"], "customer … is blocked"),
        ('thing "it"s" secret "x" is odd', [], "thing … is odd"),
        ("limit of 5000.00 exceeded by 12", [], "limit of … exceeded by …"),
        ("Adam is not Ada", ["Ada"], "Adam is not …"),
        ("first\nsecond", [], "first"),
        ("", ["x"], ""),
    ],
)
def test_values_are_taken_out_of_what_an_app_says(message: str, values: list[str], expected: str) -> None:
    assert scrub(message, values) == expected


@pytest.mark.parametrize(
    ("entity", "expected"),
    [
        ("account", (None, "account")),
        ("crm.account", ("crm", "account")),
        ('"we.ird"', (None, "we.ird")),
        ('crm."we.ird"', ("crm", "we.ird")),
        ("a.b.c", (None, "a.b.c")),
    ],
)
def test_an_entity_is_a_table_or_a_schema_and_a_table(entity: str, expected: tuple[str | None, str]) -> None:
    assert split_entity(entity) == expected


def test_names_are_quoted_whatever_they_hold() -> None:
    assert double_quoted('a"b') == '"a""b"'
    assert backquoted("a`b") == "`a``b`"


@pytest.mark.parametrize(
    ("url", "options", "said"),
    [
        ("oracle://u:hush@h/d", {}, "names no database"),
        ("hush", {}, "names no database"),
        ("postgresql+psycopg2://u:hush@h/d", {}, "psycopg only"),
        ("sqlite://", {"lock_timeout": 5}, "unknown option 'lock_timeout'"),
        ("sqlite://", {"lock_timeout_s": "5"}, "must be a number of seconds"),
        ("sqlite://", {"lock_timeout_s": 0}, "must be a number of seconds"),
    ],
)
def test_a_url_or_option_that_cannot_be_is_refused_without_its_secret(
    url: str, options: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        open_sql(url, options)
    assert "hush" not in str(raised.value)
