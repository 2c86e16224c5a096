"""What SQLite's errors mean, by extended result code."""

import re
import sqlite3

from worker.connectors.sql.errors import Diagnosis
from worker.fault import Fault

# https://www.sqlite.org/rescode.html; the longest name that the code's name starts with decides.
_CODES = {
    "SQLITE_CONSTRAINT_UNIQUE": "duplicate_key",
    "SQLITE_CONSTRAINT_PRIMARYKEY": "duplicate_key",
    "SQLITE_CONSTRAINT_ROWID": "duplicate_key",
    "SQLITE_CONSTRAINT_NOTNULL": "required_missing",
    "SQLITE_CONSTRAINT_FOREIGNKEY": "reference_missing",
    "SQLITE_CONSTRAINT_DATATYPE": "wrong_type",
    "SQLITE_CONSTRAINT": "rejected_by_app",
    "SQLITE_BUSY": "unavailable",
    "SQLITE_LOCKED": "unavailable",
    "SQLITE_READONLY": "app_in_maintenance",
    "SQLITE_READONLY_DBMOVED": "unavailable",
    "SQLITE_FULL": "quota_exceeded",
    "SQLITE_IOERR": "unavailable",
    "SQLITE_CANTOPEN": "unavailable",
    "SQLITE_CORRUPT": "unavailable",
    "SQLITE_NOTADB": "unavailable",
    "SQLITE_NOMEM": "unavailable",
    "SQLITE_PROTOCOL": "unavailable",
    "SQLITE_PERM": "permission_denied",
    "SQLITE_AUTH": "permission_denied",
    "SQLITE_TOOBIG": "too_long",
    "SQLITE_MISMATCH": "wrong_type",
    "SQLITE_RANGE": "mapping_invalid",
    "SQLITE_INTERRUPT": "timeout",
}
_TEXTS = (
    (re.compile(r"no such table"), "entity_missing"),
    (re.compile(r"no such column|has no column named"), "field_missing"),
    (re.compile(r"cannot modify .* because it is a view"), "permission_denied"),
)
_NAMED = re.compile(r"constraint failed: (.+)$")


def diagnose(error: Exception) -> Diagnosis:
    """Return what an error means; the fault names constraint and column, never a value."""
    name = getattr(error, "sqlite_errorname", "") or ""
    message = str(error)
    prefixes = (name[:end] for end in range(len(name), 0, -1))
    code = next((_CODES[prefix] for prefix in prefixes if prefix in _CODES), None) or _by_text(error, message)
    found = _NAMED.search(message)
    parameters: dict[str, str] = {}
    if found and code == "required_missing":
        parameters["field"] = found[1].rpartition(".")[2]
    elif found and code == "duplicate_key":
        parameters["columns"] = ", ".join(part.rpartition(".")[2] for part in found[1].split(", "))
    elif found and name == "SQLITE_CONSTRAINT_CHECK":
        parameters["constraint"] = found[1]
    kind = type(error).__name__
    fault = Fault(code, parameters, f"{kind} ({name})" if name else kind, exception_type=f"sqlite3.{kind}")
    return Diagnosis(fault, message if name == "SQLITE_CONSTRAINT_TRIGGER" else "")


def _by_text(error: Exception, message: str) -> str:
    for pattern, code in _TEXTS:
        if pattern.search(message):
            return code
    return "connection_lost" if isinstance(error, sqlite3.ProgrammingError) else "rejected_by_app"
