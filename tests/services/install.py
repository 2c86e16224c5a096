"""Installs what the services need: Debian packages through apt, jars through Maven; leaves alone what is there."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.services.jars import fetch_archive, fetch_dependencies
from tests.services.kafka import JARS
from tests.services.process import UnavailableError
from tests.services.registry import PROGRAM

PACKAGES: dict[str, Callable[[], bool]] = {
    "postgresql": lambda: any(Path("/usr/lib/postgresql").glob("*/bin/initdb")),
    "mariadb-server": lambda: Path("/usr/sbin/mariadbd").exists(),
    "maven": lambda: shutil.which("mvn") is not None,
    "prometheus": lambda: shutil.which("prometheus") is not None,
    "prometheus-alertmanager": lambda: shutil.which("amtool") is not None,
    "docker-compose": lambda: shutil.which("docker-compose") is not None,
    "chromium": lambda: shutil.which("chromium") is not None,
    # without a font of its own Chromium draws boxes
    "fonts-dejavu-core": lambda: Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf").exists(),
}


def install() -> list[str]:
    """Installs all that is absent; returns a line for each thing that could not be had."""
    missing = []
    steps: list[Callable[[], object]] = [
        install_packages,
        lambda: fetch_dependencies(JARS),
        lambda: fetch_archive(PROGRAM),
    ]
    for step in steps:
        try:
            step()
        except UnavailableError as reason:
            missing.append(str(reason))
    return missing


def install_packages() -> None:
    """Installs the absent Debian packages, through sudo when we are not root; raises UnavailableError."""
    absent = [package for package, is_there in PACKAGES.items() if not is_there()]
    if not absent:
        return
    if shutil.which("apt-get") is None:
        raise UnavailableError(f"no apt-get here: install {', '.join(absent)} by hand")
    become_root = [] if os.geteuid() == 0 else ["sudo"]
    if become_root and shutil.which("sudo") is None:
        raise UnavailableError(f"neither root nor sudo: install {', '.join(absent)} by hand")
    print(f"Installing {', '.join(absent)}", flush=True)  # noqa: T201  the only word during half a minute
    _apt(*become_root, "apt-get", "update", "-qq")
    options = ("-y", "-qq", "--no-install-recommends")
    _apt(*become_root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", *options, *absent)


def _apt(*command: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UnavailableError(f"'{' '.join(command)}' failed: {done.stderr.strip()[-300:]}")
