"""What is installed is all that is there: files beside the code are named in pyproject.toml."""

import tomllib

from tests.unit.house import ROOT

PACKAGES = ("schemas", "plumbing", "worker", "sink", "demo", "instep")


def test_every_file_beside_the_code_is_installed_with_it() -> None:
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    installed = {
        file
        for name, patterns in configured.items()
        for pattern in patterns
        for file in (ROOT / name).glob(pattern)
    }
    there = {
        file
        for name in PACKAGES
        for file in (ROOT / name).rglob("*")
        if file.is_file() and file.suffix not in {".py", ".pyc"}
    }
    assert there - installed == set()
