"""What the errors of MariaDB and MySQL mean, by vendor number, then SQLSTATE."""

import re

import pymysql

from worker.connectors.sql.errors import Diagnosis
from worker.fault import Fault

# https://mariadb.com/kb/en/mariadb-error-codes/
_CODES = {
    **dict.fromkeys((1045, 1698, 1251, 2054, 2059, 1524), "login_failed"),
    **dict.fromkeys((4151, 3118), "integration_user_disabled"),
    1820: "password_must_change",
    1862: "password_expired",
    **dict.fromkeys((1044, 1142, 1143, 1227, 1370), "permission_denied"),
    **dict.fromkeys((1049, 1051, 1109, 1146), "entity_missing"),
    1054: "field_missing",
    1205: "lock_timeout",
    **dict.fromkeys((1213, 1020, 1614), "deadlock"),
    **dict.fromkeys((1969, 3024, 1317, 1028), "timeout"),
    **dict.fromkeys((2006, 2013, 2014, 2027, 2055, 1053, 1077, 1079, 1152, 1158, 1159, 1160, 1161, 1184, 1927), "connection_lost"),
    **dict.fromkeys((2002, 2003, 2005, 1040, 1129, 1130, 1203, 1037, 1038, 1041, 1135), "unavailable"),
    1226: "quota_exceeded",
    **dict.fromkeys((1290, 1792, 1836, 1223, 3032), "app_in_maintenance"),
    **dict.fromkeys((1021, 1114, 3, 11, 28, 1026), "quota_exceeded"),
    **dict.fromkeys((1406, 1118, 1301, 1071), "too_long"),
    1153: "too_large",
    **dict.fromkeys((1264, 1690, 1441), "out_of_range"),
    **dict.fromkeys((1292, 1366, 1265, 1411, 1416, 3140, 4038, 1300), "wrong_type"),
    **dict.fromkeys((1048, 1364, 1263), "required_missing"),
    **dict.fromkeys((1062, 1022, 1169, 1586, 1761, 1762), "duplicate_key"),
    **dict.fromkeys((1452, 1216), "reference_missing"),
    **dict.fromkeys((1451, 1217), "still_referenced"),
    **dict.fromkeys((4025, 3819, 1369, 1644), "rejected_by_app"),
    **dict.fromkeys((1064, 1110, 1136), "mapping_invalid"),
}  # fmt: skip
_STATES = {
    "08": "connection_lost",
    "22": "wrong_type",
    "23": "rejected_by_app",
    "28": "login_failed",
    "45": "rejected_by_app",
}
_SIGNALLED = frozenset({1644})

# Each name stands behind the value that the message may hold: the last match counts.
_KEY = re.compile(r"for key '(?:[^'.]*\.)?([^']+)'$")
_CONSTRAINT = re.compile(r"CONSTRAINT `([^`]+)`")
_COLUMN = re.compile(
    r"(?:[Cc]olumn|Field) (?:`[^`]*`\.`[^`]*`\.)?['`]([^'`]+)['`] (?:at row \d+|cannot be null|doesn't have)"
)
_CHECK = re.compile(r"Check constraint '([^']+)'")


def diagnose(error: Exception) -> Diagnosis:
    """Return what an error means; the fault names constraint and column, never a value."""
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    message = str(error.args[1]) if len(error.args) > 1 else ""
    state = getattr(error, "sqlstate", None) or ""
    code = _CODES.get(number) or _STATES.get(state[:2]) or _without_number(error, number)
    if number == 1292 and ("datetime value" in message or "date value" in message or "time value" in message):
        code = "out_of_range"
    parameters = {
        name: found[-1]
        for name, pattern in (
            ("constraint", _KEY),
            ("constraint", _CONSTRAINT),
            ("constraint", _CHECK),
            ("field", _COLUMN),
        )
        if (found := pattern.findall(message)) and _names(number, name)
    }
    name = type(error).__name__
    detail = f"{name} ({number})" if number else name
    fault = Fault(code, parameters, detail, exception_type=f"pymysql.{name}")
    return Diagnosis(fault, message if number in _SIGNALLED or state.startswith("45") else "")


def _names(number: int, what: str) -> bool:
    """Whether the message of an error names a constraint or a field; in that of a trigger it could be anything."""
    if what == "constraint":
        return number in {1062, 1451, 1452, 3819, 4025}
    return number in {1048, 1364, 1406, 1264, 1265, 1292, 1366}


def _without_number(error: Exception, number: int) -> str:
    if number == 0 and isinstance(error, pymysql.err.InterfaceError):
        return "connection_lost"
    return "unavailable" if 2000 <= number < 3000 else "rejected_by_app"
