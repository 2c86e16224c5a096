"""A mapping follows its target's columns while it runs, but never leaves one out that it has written."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.change import Kind
from tests.unit.worker.build import CUSTOMER, a_description, a_mapping
from worker.connectors.protocol import Description, Refused, Write, Written
from worker.fault import Fault
from worker.mappings import find_problems, recompile
from worker.plan import FieldPlan, MappingPlan


@dataclass(frozen=True, slots=True)
class Described:
    """A connector that knows of one entity only."""

    description: Description

    def describe(self, _entity: str) -> Description:
        return self.description

    def write(self, _write: Write, *, isolate: bool = False) -> Written:
        return Written()

    def check(self, _entities: Sequence[str]) -> Sequence[Fault]:
        return ()

    def abort(self) -> None:
        pass

    def close(self) -> None:
        pass


def in_use() -> MappingPlan:
    """A mapping without fields that has written number, name and credit."""
    plan = a_mapping()
    assert plan.row_plan(CUSTOMER).columns == ("number", "name", "credit")
    return plan


def test_a_column_that_came_is_written_from_now_on() -> None:
    now = a_description(number=Kind.TEXT, name=Kind.TEXT, credit=Kind.INTEGER, city=Kind.TEXT)

    plan = recompile(in_use(), Described(now))

    assert isinstance(plan, MappingPlan)
    assert plan.description is now


def test_a_column_that_was_written_and_is_gone_is_refused() -> None:
    renamed = a_description(number=Kind.TEXT, title=Kind.TEXT, credit=Kind.INTEGER)

    answer = recompile(in_use(), Described(renamed))

    assert isinstance(answer, Refused)
    assert (answer.fault.code, answer.fault.parameters["column"]) == ("field_missing", "name")


def test_a_constant_that_its_column_cannot_take_is_told_before_anything_is_consumed() -> None:
    (fault,) = find_problems(a_mapping(fields=(FieldPlan("credit", None, constant="erp"),)))

    assert fault.code == "mapping_invalid"
    assert "credit" in str(fault.parameters["reason"])
