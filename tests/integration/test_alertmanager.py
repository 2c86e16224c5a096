"""The example for Alertmanager, as its own tool reads it."""

import re
import shutil
import subprocess
from collections.abc import Callable

import pytest
import yaml

from tests.services.missing import refuse
from tests.unit.house import ROOT

FILE = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"

Amtool = Callable[..., str]


@pytest.fixture
def amtool(request: pytest.FixtureRequest) -> Amtool:
    program = shutil.which("amtool")
    if program is None:
        refuse(request, "amtool", "no amtool (Debian package prometheus-alertmanager)")

    def run(*arguments: str) -> str:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_alertmanager_accepts_the_example(amtool: Amtool) -> None:
    assert "SUCCESS" in amtool("check-config", str(FILE))


@pytest.mark.parametrize(("severity", "receiver"), [("page", "pager"), ("ticket", "tickets")])
def test_each_severity_has_its_receiver(amtool: Amtool, severity: str, receiver: str) -> None:
    found = amtool("config", "routes", "test", f"--config.file={FILE}", f"severity={severity}")
    assert found.strip() == receiver


def test_what_is_kept_quiet_are_alerts_of_ours() -> None:
    content = yaml.safe_load(RULES.read_text())
    alerts = {rule["alert"] for group in content["groups"] for rule in group["rules"] if "alert" in rule}
    named = set(re.findall(r"Instep\w+", str(yaml.safe_load(FILE.read_text())["inhibit_rules"])))
    assert named
    assert named <= alerts
