"""The alerts of deploy/prometheus, each as it fires and as it does not, in Prometheus' own test program.

Every scene starts from a healthy system and changes a few series of it. What fires must be the alerts that are named, and
no other.
"""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.catalogue import Category, catalogue
from tests.integration.alert_scenes import SCENES, Scene, series_of
from tests.services.missing import refuse
from tests.unit.house import ROOT

RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
RUNBOOKS = ROOT / "docs" / "runbooks"
Promtool = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def promtool(request: pytest.FixtureRequest) -> Promtool:
    program = shutil.which("promtool")
    if program is None:
        refuse(request, "promtool", "no promtool (Debian package prometheus)")

    def run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)

    return run


def rules() -> list[dict[str, Any]]:
    content = yaml.safe_load(RULES.read_text())
    return [rule for group in content["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name.replace(" ", "-"))
def test_the_right_alerts_fire_and_no_others(scene: Scene, promtool: Promtool, tmp_path: Path) -> None:
    asked = [
        {
            "expr": 'group by (alertname, severity) (ALERTS{alertstate="firing"})',
            "eval_time": f"{minutes}m",
            "exp_samples": [
                {"labels": '{{alertname="{}",severity="{}"}}'.format(*each.split("/")), "value": 1}
                for each in sorted(fires)
            ],
        }
        for minutes, fires in scene.fires.items()
    ]
    step = f"{scene.step_min}m"
    steps = max(scene.fires) // scene.step_min + 5
    test = {"interval": step, "input_series": series_of(scene, steps), "promql_expr_test": asked}
    file = tmp_path / "scene.yml"
    file.write_text(
        yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": step, "tests": [test]})
    )

    done = promtool("test", "rules", file)

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_fires_in_a_scene() -> None:
    fired = {each for scene in SCENES for fires in scene.fires.values() for each in fires}
    assert fired == {f"{rule['alert']}/{rule['labels']['severity']}" for rule in alerts()}


def test_rules_and_configuration_are_accepted_by_prometheus(promtool: Promtool) -> None:
    checked = promtool("check", "rules", RULES)
    assert checked.returncode == 0, checked.stderr
    checked = promtool("check", "config", RULES.with_name("prometheus.yml"))
    assert checked.returncode == 0, checked.stderr


def test_alerts_say_what_how_bad_and_where_to_read_on() -> None:
    for rule in alerts():
        assert re.fullmatch(r"Instep([A-Z][a-z]+)+", rule["alert"])
        assert rule["labels"].keys() == {"severity"}
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}


def test_every_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    linked = {rule["alert"]: rule["annotations"]["runbook_url"] for rule in alerts()}
    assert linked == {name: f"https://instep.example/docs/runbooks/{name}.md" for name in linked}
    assert {page.stem for page in RUNBOOKS.glob("*.md")} == {*linked, "README"}
    index = (RUNBOOKS / "README.md").read_text()
    assert set(re.findall(r"\]\((\w+)\.md\)", index)) == set(linked)


def test_runbooks_say_what_it_means_where_to_look_and_what_to_do() -> None:
    for page in RUNBOOKS.glob("Instep*.md"):
        headings = re.findall(r"^#+ .*$", page.read_text(), re.MULTILINE)
        assert headings == [f"# {page.stem}", "## Meaning", "## Look at", "## Do"]


def test_what_is_tried_again_by_itself_is_left_out_of_the_error_ratios() -> None:
    heals = {
        code.name
        for code in catalogue().values()
        if code.retry.schedule_s and code.category is not Category.TRANSIENT
    }
    ratios = [rule["expr"] for rule in rules() if "record" in rule]
    assert len(ratios) == 9
    for expr in ratios:
        left_out = re.findall(r'code!~"([^"]+)"', expr)
        assert [set(each.split("|")) for each in left_out] == [heals]
