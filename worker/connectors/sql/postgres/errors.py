"""What PostgreSQL's errors mean, by SQLSTATE, then by the driver's exception type."""

import re

import psycopg

from worker.connectors.sql.errors import Diagnosis
from worker.fault import Fault

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_STATES = {
    "0A000": "rejected_by_app",
    "21000": "duplicate_key",
    "22001": "too_long",
    "22003": "out_of_range",
    "22008": "out_of_range",
    "2200H": "out_of_range",
    "23502": "required_missing",
    "23503": "reference_missing",
    "23001": "still_referenced",
    "23505": "duplicate_key",
    "23514": "rejected_by_app",
    "23P01": "duplicate_key",
    "25006": "app_in_maintenance",
    "28P01": "login_failed",
    "28000": "login_failed",
    "3D000": "entity_missing",
    "3F000": "entity_missing",
    "40001": "deadlock",
    "40P01": "deadlock",
    "42501": "permission_denied",
    "42601": "wrong_type",  # the syntax is that of a value, as of a tsquery: our own statements' is fixed
    "42P01": "entity_missing",
    "42703": "field_missing",
    "53100": "quota_exceeded",
    "53200": "unavailable",
    "53300": "unavailable",
    "54000": "too_long",
    "55P03": "lock_timeout",
    "55000": "app_in_maintenance",
    "57014": "timeout",
    "57P01": "connection_lost",
    "57P02": "connection_lost",
    "57P03": "unavailable",
    "57P05": "connection_lost",
    "58030": "quota_exceeded",
}
_CLASSES = {
    "08": "connection_lost",
    "22": "wrong_type",
    "42": "mapping_invalid",
    "53": "unavailable",
    "57": "unavailable",
}

# libpq gives no SQLSTATE for a refused login, only the server's text.
_LOGIN = (
    (re.compile(r"not permitted to log in"), "integration_user_disabled"),
    (re.compile(r"password authentication failed|no password supplied|authentication failed|role \S+ does not exist"
                r"|no pg_hba\.conf entry"), "login_failed"),
    (re.compile(r"permission denied for database"), "permission_denied"),
    (re.compile(r"database \S+ does not exist"), "entity_missing"),
)  # fmt: skip


def diagnose(error: psycopg.Error) -> Diagnosis:
    """Return what an error means; the fault names constraint, column and table, never a value."""
    state = error.sqlstate
    if state is None:
        return Diagnosis(_fault(_code_without_state(error), error, ""))
    code = _STATES.get(state) or _CLASSES.get(state[:2], "rejected_by_app")
    diag = error.diag
    if state == "42501" and "row-level security" in (diag.message_primary or ""):
        code = "rejected_by_app"
    parameters = {
        name: value
        for name, value in (
            ("constraint", diag.constraint_name),
            ("field", diag.column_name),
            ("entity", diag.table_name),
        )
        if value
    }
    said = (diag.message_primary or "") if state[:2] in {"P0", "45"} else ""
    return Diagnosis(_fault(code, error, state, parameters), said)


def _fault(code: str, error: psycopg.Error, state: str, parameters: dict[str, str] | None = None) -> Fault:
    name = type(error).__name__
    detail = f"{name} (SQLSTATE {state})" if state else name
    return Fault(code, parameters or {}, detail, exception_type=f"psycopg.{name}")


def _code_without_state(error: psycopg.Error) -> str:
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        return "unavailable"
    if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return "wrong_type" if isinstance(error, psycopg.DataError) else "rejected_by_app"
    text = str(error)
    for pattern, code in _LOGIN:
        if pattern.search(text):
            return code
    connected = error.pgconn is not None or "closed" in text or "consuming input" in text
    return "connection_lost" if connected and "connection to server" not in text else "unavailable"
