"""The whole configuration as one value."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from schemas.config.app import AppConfig
from schemas.config.kafka import KafkaConfig
from schemas.config.mapping import MappingConfig
from schemas.config.part import Part
from schemas.config.process import SinkConfig, WorkerConfig
from schemas.config.scalar import Name


class Config(Part):
    """Everything that one group of workers and its sink need to know."""

    kafka: KafkaConfig
    """The brokers, and the topics of our own."""
    apps: Annotated[dict[Name, AppConfig], Field(min_length=1)]
    """The applications, by a name of your choice."""
    mappings: Annotated[dict[Name, MappingConfig], Field(min_length=1)]
    """What is kept in step, by a name of your choice; the name stands in metrics and on entries."""
    worker: WorkerConfig = WorkerConfig()
    """The process that applies changes."""
    sink: SinkConfig
    """The process that keeps the list of what is wrong now."""

    @model_validator(mode="before")
    @classmethod
    def _name_the_sink_group(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        sink = data.get("sink", {})
        kafka = data.get("kafka")
        group = kafka.get("group") if isinstance(kafka, dict) else getattr(kafka, "group", None)
        return {**data, "sink": {"group": f"{group}.sink", **sink}} if isinstance(sink, dict) else data


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema of a configuration file, for editors."""
    schema = Config.model_json_schema()
    # Parsing fills these in from kafka.group.
    schema["required"].remove("sink")
    del schema["$defs"]["SinkConfig"]["required"]
    # A default that is a whole part says no more than the defaults in it.
    for part in (schema, *schema["$defs"].values()):
        for key in part["properties"].values():
            if "$ref" in key:
                key.pop("default", None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Instep configuration",
    }
