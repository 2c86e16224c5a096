"""How both processes write and read the events on our own topics: with a registry where one is configured."""

from contextlib import ExitStack

from schemas.avro_schemas import EVENT_NAMES, schema_text
from schemas.codec import Codec
from schemas.config.kafka import KafkaConfig
from schemas.framing import Confluent


def open_codec(config: KafkaConfig, closing: ExitStack) -> Codec:
    """Return the codec for our own topics, our schemas registered under their own names; raises RegistryUnreachable."""
    if config.registry is None:
        return Codec()
    from plumbing.registry import Registry  # noqa: PLC0415  an HTTP client takes a while to load

    with ExitStack() as opened:
        registry = opened.enter_context(Registry(config.registry))
        ids = {name: registry.register_schema(f"instep.{name}", schema_text(name)) for name in EVENT_NAMES}
        closing.push(opened.pop_all())
    return Codec(framing=Confluent(ids, registry.find_schema))
