"""The `mappings` part of the configuration."""

from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from schemas.config.part import Part
from schemas.config.scalar import FieldNames, Name, Text, Topic, wrong
from schemas.config.transform import Transform

_SCALAR_SCHEMA = {"type": ["string", "number", "boolean", "null"]}
Key = str | int | float | bool


def _scalar(value: Any) -> Any:
    if value is not None and not isinstance(value, str | int | float | bool | date):
        raise wrong("must be a text, a number, true, false, null or a date")
    return value


def _options(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, dict) or not value:
        raise wrong("must list at least one pair of values: {Open: 0, Blocked: 1}")
    for chosen in value.values():
        _scalar(chosen)
    return value


def _link(text: str) -> str:
    try:
        text.format_map(_AnyField())
    except (ValueError, IndexError, KeyError, AttributeError, TypeError):
        raise wrong(
            "must be a URL with field names in braces: https://erp.example/customer/{number}"
        ) from None
    return text


class _AnyField(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return name


Link = Annotated[str, Field(pattern=r"^https?://\S+$"), AfterValidator(_link)]


class SourceConfig(Part):
    """Where the changes come from."""

    app: Name
    """The app whose records change."""
    entity: Text
    """The kind of record, as the source app calls it."""
    topic: Topic
    """The topic that carries the changes."""
    key: FieldNames
    """The field, or list of fields, that identify a record."""
    link: Link | None = None
    """A URL that opens the record in the source app, with key fields in braces."""
    tombstone: Literal["skip", "delete"] = "skip"
    """What a message without value means: nothing (Debezium sends a delete before it), or that the record was deleted."""
    timestamps: Literal["us", "ms", "ns"] = "us"
    """What an integer in a date or time field counts, where the topic carries JSON without schemas."""


class TargetConfig(Part):
    """Where the changes go."""

    app: Name
    """The app that is written to; it needs a connector."""
    entity: Text
    """The kind of record, as the target app calls it: for `sql` a table, `schema.table` included."""
    key: FieldNames
    """The field, or list of fields, that identify a record, in the order of the source's key."""
    link: Link | None = None
    """A URL that opens the record in the target app, with key fields in braces."""


class FieldConfig(Part):
    """One field of the target. A plain name stands for a field with that name on both sides."""

    source: Text | None = None
    """The field of the source to take the value from."""
    constant: Annotated[
        Any, BeforeValidator(_scalar), WithJsonSchema(_SCALAR_SCHEMA), PlainSerializer(str)
    ] = None
    """A value to write always."""
    target: Text
    """The field of the target to write."""
    transform: tuple[Transform, ...] = ()
    """What to do to the value on its way, step by step."""
    options: Annotated[
        dict[Key, Any] | None,
        BeforeValidator(_options),
        WithJsonSchema({"type": "object", "minProperties": 1, "additionalProperties": _SCALAR_SCHEMA}),
    ] = None
    """What each value of the source becomes in the target, after `transform`; a value that is not listed is a failure."""

    @property
    def is_constant(self) -> bool:
        """Whether the value is written here instead of taken from the source."""
        return self.source is None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        has_constant = "constant" in self.model_fields_set
        if (self.source is not None) == has_constant:
            raise wrong("needs either source or constant" + (", not both" if has_constant else ""))
        if has_constant and (self.transform or self.options):
            raise wrong("a constant takes no transform and no options: write the value that you want")
        return self


def _field(written: Any) -> Any:
    return {"source": written, "target": written} if isinstance(written, str) else written


def _distinct_targets(fields: tuple[FieldConfig, ...]) -> tuple[FieldConfig, ...]:
    seen: set[str] = set()
    for field in fields:
        if field.target in seen:
            raise wrong(f'two fields fill the same target "{field.target}"')
        seen.add(field.target)
    return fields


WrittenField = Annotated[FieldConfig, BeforeValidator(_field, json_schema_input_type=str | FieldConfig)]


class MappingConfig(Part):
    """One entity in one app paired with one entity in the other."""

    source: SourceConfig
    """Where the changes come from."""
    target: TargetConfig
    """Where they go."""
    format: Literal["auto", "instep", "debezium"] = "auto"
    """What the source topic carries; `auto` looks at each message."""
    direction: Literal["forward"] = "forward"
    """From source to target."""
    on_delete: Literal["propagate", "report", "ignore"]
    """What a deleted source record does: delete the target record, report a failure for a person to decide, or nothing."""
    order: Literal["latest", "strict"] = "latest"
    """After a failure: try the record's next change (`latest`; one that lacks a value of it, as Debezium got none, waits), or keep
    all later changes of the record waiting behind it (`strict`)."""
    where: Text | None = None
    """Which records to sync: an SQL condition over source fields, such as `blocked = false and country in ('NL', 'BE')`."""
    fields: (
        Annotated[tuple[WrittenField, ...], Field(min_length=1), AfterValidator(_distinct_targets)] | None
    ) = None
    """The fields to sync beside the key; left out: every field that the target has under the same name."""
