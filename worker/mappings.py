"""Configured mappings, compiled against what their targets say of themselves."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from schemas.config.mapping import FieldConfig, MappingConfig
from worker.connectors.protocol import Connector, Description, Refused
from worker.fault import Fault
from worker.plan import CONVERSION_ERRORS, FieldPlan, MappingPlan, constant_for
from worker.transform import compose
from worker.where import Where, compile_where


def compile_mapping(name: str, config: MappingConfig, description: Description) -> MappingPlan:
    """Return one mapping as the steps use it."""
    return MappingPlan(
        name=name,
        direction=config.direction,
        topic=config.source.topic,
        source_app=config.source.app,
        source_entity=config.source.entity,
        source_key=config.source.key,
        source_link=config.source.link,
        target_app=config.target.app,
        target_entity=config.target.entity,
        target_key=config.target.key,
        target_link=config.target.link,
        order=config.order,
        on_delete=config.on_delete,
        delete_on_tombstone=config.source.tombstone == "delete",
        timestamp_unit=config.source.timestamps,
        where=_where(config.where),
        fields=tuple(_field(each) for each in config.fields) if config.fields is not None else None,
        description=description,
    )


def recompile(plan: MappingPlan, connector: Connector) -> MappingPlan | Refused:
    """Return a mapping for the columns that its target has now; Refused where one is gone that it has written so far.

    A mapping that names no fields goes on without a column only from a restart on: a person has seen it then.
    """
    description = connector.describe(plan.target_entity)
    if isinstance(description, Refused):
        return description
    fresh = replace(plan, description=description, row_plans={})
    written = {column for each in plan.row_plans.values() for column in each.columns}
    faults = find_problems(fresh)
    faults += [
        Fault("field_missing", {"entity": plan.target_entity, "column": column})
        for column in sorted(written - set(description.columns))
    ]
    return Refused(faults[0]) if faults else fresh


def find_problems(plan: MappingPlan) -> list[Fault]:
    """Return what a mapping asks of its target that the target does not have."""
    columns: Mapping[str, Any] = plan.description.columns
    wanted = [*plan.target_key, *(each.target for each in plan.fields or ())]
    faults = [
        Fault("field_missing", {"entity": plan.target_entity, "column": column})
        for column in dict.fromkeys(wanted)
        if column not in columns
    ]
    faults += [
        Fault(
            "mapping_invalid", {"mapping": plan.name, "reason": f"{plan.target_entity}.{column} is generated"}
        )
        for column in dict.fromkeys(wanted)
        if column in columns and columns[column].generated
    ]
    faults += [] if faults else _wrong_constants(plan)
    key = set(plan.target_key)
    if not faults and not any(set(unique) == key for unique in plan.description.unique):
        names = ", ".join(plan.target_key)
        reason = f"{plan.target_entity} has no primary key or unique index on ({names})"
        faults.append(Fault("mapping_invalid", {"mapping": plan.name, "reason": reason}))
    return faults


def _wrong_constants(plan: MappingPlan) -> list[Fault]:
    faults = []
    for each in plan.fields or ():
        if each.source is None:
            try:
                constant_for(plan.description.columns[each.target], each.constant)
            except CONVERSION_ERRORS as error:
                reason = f"the constant for {each.target} cannot be written there: {error}"
                faults.append(Fault("mapping_invalid", {"mapping": plan.name, "reason": reason}))
    return faults


def _where(text: str | None) -> Where | None:
    where = compile_where(text) if text is not None else None
    if isinstance(where, str):
        raise ValueError(f"a filter that the configuration should have refused: {where}")  # noqa: TRY004  not a type's fault
    return where


def _field(config: FieldConfig) -> FieldPlan:
    return FieldPlan(
        target=config.target,
        source=config.source,
        constant=config.constant,
        transform=compose(config.transform),
        options=config.options,
    )
