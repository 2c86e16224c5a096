"""Which entries have one cause, and how such a group stands. Pure.

The grouping has a version: entries of an older one are grouped again in the background.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import orjson

GROUPING_VERSION = 1
# so many causes of a mapping are kept apart; what goes beyond is one group a code
GROUPS_OF_A_MAPPING = 1000
OTHER = "other"
OTHER_MESSAGE = "Further causes: the mapping has more of them than are kept apart."

# parameters that name fields, columns and limits, the same for every record with this trouble
_NAMING = frozenset(
    {
        *(
            "app",
            "child",
            "column",
            "columns",
            "constraint",
            "entity",
            "expected",
            "field",
            "fields",
            "limit",
        ),
        *("mapping", "parent", "privileges", "user"),
    }
)
_LONGEST_MESSAGE = 1000
_LONGEST_NAME = 200
_ELLIPSIS, _NUMBER = "…", "#"
# what differs from record to record: texts in quotes and addresses, then whatever has a digit in it
_TEXT = re.compile(
    r"""
    "[^"]*" | `[^`]*` | «[^»]*» | “[^”]*” | (?<!\w)'[^']*'(?!\w)
    | (?<![\w.+%-])[\w.+%-]++@[\w-]++(?:\.[\w-]++)*+
    """,
    re.VERBOSE,
)
_DIGITS = re.compile(
    r"""
    \b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b
    | \d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?
    | [-+]?(?<!\w)[^\W\d]*+\d\w*+(?:[.,:/-]\w*\d\w*)*
    | \d\w*
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SPACE = re.compile(r"\s+")


class GroupState(StrEnum):
    """Where a group stands."""

    OPEN = "open"
    REGRESSED = "regressed"
    MUTED = "muted"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Cause:
    """What entries of one group have in common; `id` is the group's."""

    id: str
    mapping: str
    direction: str
    category: str
    code: str
    message: str


def cause_of(
    mapping: str, direction: str, category: str, code: str, parameters: Mapping[str, str], message: str
) -> Cause:
    """Return the cause of a failure: its mapping, direction, code, the fields it is about, and its message's wording."""
    wording = normalized(message)
    naming = sorted((name, value[:_LONGEST_NAME]) for name, value in parameters.items() if name in _NAMING)
    group_id = _id(mapping, direction, category, code, naming, wording)
    return Cause(group_id, mapping, direction, category, code, wording)


def other_causes(cause: Cause) -> Cause:
    """Return the group that takes a cause beyond GROUPS_OF_A_MAPPING: one a code."""
    group_id = _id(cause.mapping, cause.direction, cause.category, cause.code, OTHER)
    return Cause(group_id, cause.mapping, cause.direction, cause.category, cause.code, OTHER_MESSAGE)


def normalized(message: str) -> str:
    """Return a message without what differs from record to record: … stands for a text, # for what has digits."""
    text = _SPACE.sub(" ", message[:_LONGEST_MESSAGE]).strip()
    before = None
    # what was put in may complete another pair of quotes
    while text != before:
        before = text
        text = _DIGITS.sub(_NUMBER, _TEXT.sub(_ELLIPSIS, text))
    return text


def _id(*parts: object) -> str:
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:16]
