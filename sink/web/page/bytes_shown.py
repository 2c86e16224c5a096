"""Bytes as a person can read them. Pure."""

_A_LINE = 16
_AT_MOST = 4096


def as_dump(content: bytes, at_most: int = _AT_MOST) -> str:
    """Return position, hexadecimal digits and characters, sixteen bytes a line; says so where it is cut off."""
    lines = [_line(content, start) for start in range(0, min(len(content), at_most), _A_LINE)]
    if len(content) > at_most:
        lines.append(f"… and {len(content) - at_most:,} bytes more")
    return "\n".join(lines)


def _line(content: bytes, start: int) -> str:
    part = content[start : start + _A_LINE]
    readable = "".join(chr(byte) if 0x20 <= byte < 0x7F else "·" for byte in part)
    return f"{start:06x}  {part.hex(' '):<{_A_LINE * 3 - 1}}  {readable}"
