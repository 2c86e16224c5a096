"""The exit codes, by name."""

from enum import IntEnum


class Exit(IntEnum):
    """How a command ended, for the shell."""

    DONE = 0
    FAILED = 1
    WRONG_USE = 2
    UNREACHABLE = 3


CODES_HELP = (
    "Exit codes: 0 done, 1 something failed, 2 wrong use or configuration, 3 a service cannot be reached."
)
