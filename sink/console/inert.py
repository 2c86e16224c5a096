"""Text of others, made harmless for a terminal or a spreadsheet. Pure."""

import unicodedata

# control, format (which turns text around), surrogate, private, unknown, line and paragraph separator
_ACTIVE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def inert(text: str) -> str:
    """Return text in which every character that does not stand for itself is an escape (a backslash and a number)."""
    # what is printable is active nowhere
    if text.isprintable():
        return text
    return "".join(_escape(c) if unicodedata.category(c) in _ACTIVE else c for c in text)


def inert_cell(text: str) -> str:
    """Return text that no spreadsheet takes for a formula."""
    shown = inert(text)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
