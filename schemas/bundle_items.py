"""The events of a bundle in Avro's binary encoding. Pure.

Written by hand, as there are thousands a second: fastavro takes up to four times as long. Compared with it in the tests.
Source: https://avro.apache.org/docs/1.12.0/specification/#binary-encoding
"""

from collections.abc import Sequence
from functools import lru_cache

from schemas.events import Headers, ReplayRequest, SyncResolved

EMPTY = b"\x00"
"""An array without items; behind the items of any other there is the same."""

_NULL, _NOT_NULL = b"\x00", b"\x02"
_LOW_BITS = 14


def bundled_resolutions(events: Sequence[SyncResolved]) -> bytes:
    """Return the array of BundledResolution; ValueError where an event has no position."""
    written = [_long(len(events))]
    for event in events:
        if event.position is None:
            raise ValueError("what has no position travels alone")
        _, partition, offset, timestamp_ms = event.position
        replay_id = event.replay_id
        written += (
            _text(event.failure_id),
            _text(event.record_id),
            _NULL if replay_id is None else _NOT_NULL + _text(replay_id),
            _long(partition),
            _long(offset),
            _long(timestamp_ms),
        )
    return b"".join(written) + EMPTY


def bundled_requests(events: Sequence[ReplayRequest]) -> bytes:
    """Return the array of BundledRequest."""
    written = [_long(len(events))]
    for event in events:
        _, partition, offset, timestamp_ms = event.position
        written += (
            _text(event.replay_id),
            _text(event.failure_id),
            _text(event.record_id),
            _long(partition),
            _long(offset),
            _long(timestamp_ms),
        )
        if event.original is None:
            written.append(_NULL)
        else:
            key, value, headers = event.original
            written += (_NOT_NULL, _optional(key), _optional(value), _headers(headers))
    return b"".join(written) + EMPTY


@lru_cache(maxsize=64)
def _headers(headers: Headers) -> bytes:
    # kept, as the messages of a source often have the same
    if not headers:
        return EMPTY
    return _long(len(headers)) + b"".join(_text(name) + _optional(value) for name, value in headers) + EMPTY


def _optional(data: bytes | None) -> bytes:
    return _NULL if data is None else _NOT_NULL + _long(len(data)) + data


def _text(text: str) -> bytes:
    """Return text as UTF-8; what that cannot hold is written with backslashes."""
    data = text.encode("utf-8", "backslashreplace")
    return _varint(len(data) << 1) + data


def _long(value: int) -> bytes:
    number = value << 1 ^ value >> 63
    if number >> _LOW_BITS:
        # the higher bits of offsets and times are those of many others
        return bytes((number & 0x7F | 0x80, number >> 7 & 0x7F | 0x80)) + _varint(number >> _LOW_BITS)
    return _varint(number)


@lru_cache(maxsize=1 << _LOW_BITS)
def _varint(number: int) -> bytes:
    written = bytearray()
    while number >= 0x80:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
