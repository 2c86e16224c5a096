"""Dates and times as structs of their parts (`temporal.precision.mode=structured`)."""

from collections.abc import Mapping

from schemas.change import Kind, Reader

STRUCTURED: Mapping[str, tuple[Kind, Reader]] = {}
