"""Take field values out of what another program says about an error. Pure."""

import re
from collections.abc import Iterable

_QUOTED = re.compile(r"([\"'`«„]).*[\"'`»“]|\([^()]*\)=\(.*\)")
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d.,:T+-]*(?!\w)")
HIDDEN = "…"


def scrub(message: str, values: Iterable[object] = ()) -> str:
    """Return the first line of a message with `values`, numbers and whatever stands in quotes hidden.

    From the first quotation mark to the last, as a value may hold quotation marks itself.
    """
    line = next(iter(message.strip().splitlines()), "")
    for text in sorted({str(value).strip() for value in values if value is not None}, key=len, reverse=True):
        if text:
            line = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", HIDDEN, line)
    return _NUMBER.sub(HIDDEN, _QUOTED.sub(HIDDEN, line))[:500]
