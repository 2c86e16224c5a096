"""Why something could not be done, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Fault:
    """One cause of failure: a code of the catalogue and what its message needs.

    `parameters` name fields, columns and limits, never values. `detail` is the scrubbed text of the other app.
    """

    code: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""
    exception_type: str | None = None
    top_frame: str | None = None
    trace: str | None = None
