"""Who runs the command."""

import getpass
import os


def user_name() -> str:
    """Return the name of the user at the terminal, for the audit log."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return str(os.getuid())
