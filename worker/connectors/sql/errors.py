"""What an error of a database means for the write: whose fault it is, and whether trying again helps. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum, auto

from schemas.scrub import scrub
from worker.fault import Fault


class Reach(Enum):
    """How far an error reaches."""

    RECORD = auto()
    TRY_AGAIN = auto()
    APP = auto()


_TRY_AGAIN = frozenset({"deadlock", "lock_timeout", "timeout"})
_APP = frozenset({
    "app_in_maintenance",
    "connection_lost",
    "entity_missing",
    "field_missing",
    "integration_user_disabled",
    "login_failed",
    "mapping_invalid",
    "password_expired",
    "password_must_change",
    "permission_denied",
    "quota_exceeded",
    "throttled",
    "unavailable",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The fault behind a driver's error; `said` is what the app's own rule said, not yet scrubbed."""

    fault: Fault
    said: str = ""

    @property
    def reach(self) -> Reach:
        """How far the fault reaches, by its code."""
        if self.fault.code in _TRY_AGAIN:
            return Reach.TRY_AGAIN
        return Reach.APP if self.fault.code in _APP else Reach.RECORD

    def scrubbed(self, values: Iterable[object]) -> Fault:
        """The fault of a record with these values, with what the app said in its detail."""
        if not self.said:
            return self.fault
        return replace(self.fault, detail=f"{self.fault.detail}: {scrub(self.said, values)}")


class TransactionLostError(Exception):
    """The database took the whole transaction back, savepoints and all, for the reason in `diagnosis`."""

    def __init__(self, diagnosis: Diagnosis) -> None:
        super().__init__(diagnosis.fault.code)
        self.diagnosis = diagnosis
