"""Installs the services of the tests, or keeps one of each running.

python -m tests.services install         installs what is absent
python -m tests.services up FILE.json    starts one of each, writes their addresses to FILE.json, stays until Ctrl-C
python -m tests.services run COMMAND...  starts one of each, runs a command that uses them, stops them

With INSTEP_TEST_SERVICES=FILE.json in the environment pytest uses the running ones instead of starting its own.
"""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.services.install import install
from tests.services.running import start_all, write_addresses


def main(words: list[str]) -> int:
    """Runs one of the commands and returns the exit code."""
    match words:
        case ["install"]:
            return _install()
        case ["up", file]:
            return _up(Path(file))
        case ["run", *command] if command:
            return _run(command)
        case _:
            print(__doc__)
            return 2


def _install() -> int:
    missing = install()
    for line in missing:
        print(f"MISSING: {line}", file=sys.stderr)
    return 1 if missing and os.environ.get("CI") else 0


def _up(file: Path) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack, suppress(KeyboardInterrupt):
        write_addresses(start_all(stack), file)
        stack.callback(file.unlink, missing_ok=True)
        print(f"Running; export INSTEP_TEST_SERVICES={file.absolute()}", flush=True)
        signal.pause()
    return 0


def _run(command: list[str]) -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ExitStack() as stack, suppress(KeyboardInterrupt):
        file = Path(stack.enter_context(TemporaryDirectory(prefix="instep-services-"))) / "services.json"
        write_addresses(start_all(stack), file)
        return subprocess.run(
            command, env={**os.environ, "INSTEP_TEST_SERVICES": str(file)}, check=False
        ).returncode
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
