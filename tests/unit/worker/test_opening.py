"""What a worker asks its apps before it polls."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

from kafka.errors import KafkaError

from schemas.config.app import AppConfig
from schemas.config.model import Config
from tests.unit.worker.test_loop import a_mapping
from worker.connectors.protocol import Refused
from worker.fault import Fault
from worker.lane import Lane
from worker.opening import (
    WrongConfiguration,
    WrongTargetsError,
    compile_plans,
    open_connector,
    wrong_targets,
)


@dataclass(slots=True)
class Away:
    """A connector whose app does not answer; it notes what it was asked for."""

    asked: list[str] = field(default_factory=list)

    def describe(self, entity: str) -> Refused:
        """Note the entity, and refuse."""
        self.asked.append(entity)
        return Refused(Fault("unavailable"))


def test_an_app_that_does_not_answer_is_asked_for_one_of_its_mappings_alone() -> None:
    connectors = {"crm": Away(), "shop": Away()}
    apps = {"a": "crm", "b": "crm", "c": "shop"}
    mappings = {name: a_mapping("topic", app) for name, app in apps.items()}
    lane = SimpleNamespace(
        world=SimpleNamespace(apps=apps), plans={}, connector_of=lambda name: connectors[apps[name]]
    )

    wrong = compile_plans(cast(Lane, lane), cast(Config, SimpleNamespace(mappings=mappings)))

    assert (wrong, lane.plans) == ([], {})
    assert [len(each.asked) for each in connectors.values()] == [1, 1]


def test_an_option_that_a_connector_does_not_know_is_wrong_configuration() -> None:
    app = AppConfig.model_validate(
        {"connector": "sql", "url": "sqlite:///crm.db", "options": {"lock_timeout": 5}}
    )

    wrong = open_connector("crm", app)

    assert isinstance(wrong, WrongConfiguration)
    assert wrong.path == "apps.crm.options"
    assert "lock_timeout_s" in wrong.what


def test_what_a_target_lacks_is_told_though_the_client_wraps_it_while_partitions_move() -> None:
    wrong = [WrongConfiguration("mappings.customers", "there is no table")]
    wrapped = KafkaError("a listener failed")
    wrapped.__cause__ = WrongTargetsError(wrong)

    assert wrong_targets(wrapped) == wrong
    assert wrong_targets(KafkaError("another reason")) == []
