"""What a person may do. Pure."""

from enum import StrEnum


class Role(StrEnum):
    """Each role may do all that the one before it may."""

    VIEWER = "viewer"
    """Read; field values are masked."""
    OPERATOR = "operator"
    """Replay, resolve, discard, mute, run jobs; see field values."""
    ADMIN = "admin"
    """Clear, restore, see raw bytes, manage tokens, read the audit log."""

    def covers(self, other: "Role") -> bool:
        """Whether this role may do all that another may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)
