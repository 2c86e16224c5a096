"""What every part of the configuration model is: frozen, closed to unknown keys, silent about its values in errors."""

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """One mapping of the configuration file."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_default=True,
        use_attribute_docstrings=True,
    )
