"""Builders with defaults for the worker's values."""

from collections.abc import Mapping
from typing import Any

from schemas.change import Kind, Op, RecordChange, Shape
from schemas.events import Decision, OriginalRecord, Position, ReplayRequest
from worker.connectors.protocol import Column, Description
from worker.message import StoredMessage
from worker.plan import FieldPlan, MappingPlan
from worker.where import Where

TOPIC = "erp.customers"


def a_message(
    offset: int = 0,
    *,
    partition: int = 0,
    key: bytes | None = b"key",
    value: bytes | None = b"value",
    topic: str = TOPIC,
) -> StoredMessage:
    """Return a message at a position."""
    return StoredMessage(topic, partition, offset, 1_700_000_000_000 + offset, key, value)


def a_shape(**kinds: Kind) -> Shape:
    """Return a shape with typed fields."""
    return Shape(tuple(kinds), kinds)


CUSTOMER = a_shape(number=Kind.TEXT, name=Kind.TEXT, credit=Kind.INTEGER)


def a_change(
    after: Mapping[str, Any] | None = None,
    *,
    op: Op = Op.UPDATE,
    before: Mapping[str, Any] | None = None,
    shape: Shape = CUSTOMER,
) -> RecordChange:
    """Return a change; with neither image, of customer C1."""
    if after is None and before is None:
        after = {"number": "C1", "name": "Adatum", "credit": 1}
    return RecordChange(op, before, after, shape, 1_700_000_000_000)


def a_description(**columns: Kind) -> Description:
    """Return a target entity with these columns, keyed by the first."""
    described = columns or {"number": Kind.TEXT, "name": Kind.TEXT, "credit": Kind.INTEGER}
    by_name = {name: Column(name, kind) for name, kind in described.items()}
    return Description("account", by_name, ((next(iter(described)),),))


def a_mapping(
    *,
    fields: tuple[FieldPlan, ...] | None = None,
    source_key: tuple[str, ...] = ("number",),
    target_key: tuple[str, ...] = ("number",),
    order: Any = "latest",
    on_delete: Any = "propagate",
    delete_on_tombstone: bool = False,
    where: Where | None = None,
    description: Description | None = None,
) -> MappingPlan:
    """Return a compiled mapping of customers to accounts."""
    return MappingPlan(
        name="customers",
        direction="forward",
        topic=TOPIC,
        source_app="erp",
        source_entity="customers",
        source_key=source_key,
        source_link="https://erp.example/customer/{number}",
        target_app="crm",
        target_entity="account",
        target_key=target_key,
        target_link=None,
        order=order,
        on_delete=on_delete,
        delete_on_tombstone=delete_on_tombstone,
        timestamp_unit="us",
        where=where,
        fields=fields,
        description=description or a_description(),
    )


def a_request(
    offset: int = 0,
    *,
    record: str = "C1",
    failure: str = "failure",
    decision: Decision = Decision.RETRY,
    scheduled: bool = False,
    original: OriginalRecord | None = None,
    corrections: Mapping[str, str] | None = None,
) -> ReplayRequest:
    """Return a request to replay the change at a position."""
    return ReplayRequest(
        replay_id="replay",
        failure_id=failure,
        mapping="customers",
        direction="forward",
        record_id=record,
        decision=decision,
        scheduled=scheduled,
        position=Position(TOPIC, 0, offset, 1_700_000_000_000),
        original=original,
        corrections=corrections,
    )


def no_key_fields(_key: bytes | None, _headers: object) -> None:
    """Know no message's key."""
