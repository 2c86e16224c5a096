"""Messages whose schema stands in the registry: it is asked once for each, when somebody looks at such a message."""

from uuid import UUID

from plumbing.registry import Registry, RegistryUnreachable
from schemas.events import OriginalRecord
from sink.web.page.change import ShownChange, read_change
from sink.web.page.rendering import Page


def read_with_registry(page: Page, original: OriginalRecord) -> ShownChange:
    """Return the change that a message tells, or why its fields cannot be shown."""
    state = page.request.app.state
    if not hasattr(state, "page_schemas"):
        state.page_schemas = {}
    known: dict[int | UUID, str] = state.page_schemas

    def find_schema(schema_id: int | UUID) -> str | None:
        config = page.web.config.kafka.registry
        if schema_id not in known and config is not None:
            with Registry(config) as registry:
                found = registry.find_schema(schema_id)
            if found is None:
                return None
            known[schema_id] = found
        return known.get(schema_id)

    try:
        return read_change(original, find_schema)
    except RegistryUnreachable as error:
        return ShownChange(f"The fields cannot be shown: {error}.")
