"""Events to bytes and back. Pure, but for the registry that a framing may ask."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from fastavro import schemaless_reader, schemaless_writer

from schemas.avro_schemas import EVENT_NAMES, parse_logical, parse_plain, schema_text, versions
from schemas.bundle_items import EMPTY, bundled_requests, bundled_resolutions
from schemas.event_fields import MAKE, Fields, UnknownWordError, event_fields
from schemas.events import (
    Bundle,
    Event,
    ReplayBundle,
    ReplayRequest,
    ResolvedBundle,
    SyncFailed,
    SyncProgress,
    SyncResolved,
)
from schemas.framing import (
    CONFLUENT_BYTES,
    CONFLUENT_MARK,
    SINGLE_OBJECT,
    SINGLE_OBJECT_BYTES,
    SINGLE_OBJECT_MARK,
    Confluent,
    Framing,
    SingleObject,
    confluent_id,
    confluent_prefix,
    single_object_prefix,
)
from schemas.wire.avro_values import FAULTS, value_reader

_TYPES: dict[str, type[Event | Bundle]] = {
    "SyncFailed": SyncFailed,
    "SyncResolved": SyncResolved,
    "SyncProgress": SyncProgress,
    "ReplayRequest": ReplayRequest,
    "ResolvedBundle": ResolvedBundle,
    "ReplayBundle": ReplayBundle,
}


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Bytes that are no event we can read; `newer`: a later version of Instep may be able to."""

    reason: str
    newer: bool


@dataclass(frozen=True, slots=True)
class _Known:
    """A schema that we can read: how its bytes become an event, and, of an older one, how they first become those of ours."""

    event: type[Event | Bundle]
    read: Callable[[bytes], Any]
    renew: Callable[[bytes], bytes] | None


_EMPTY = Unreadable("the message is empty", newer=False)
_STRANGE = Unreadable("the message is in neither of Instep's framings", newer=False)
_NEWER = Unreadable("the message was written with a schema that is not known here", newer=True)
_NO_REGISTRY = Unreadable("the message names a schema by its id, and no registry is configured", newer=False)
_NO_SCHEMA = Unreadable("the registry has no schema with the id that the message names", newer=False)
_NO_EVENT = Unreadable("the schema that the message names is none of Instep's events", newer=False)
_CUT = Unreadable("the bytes do not fit the schema that the message names", newer=False)
_WORD = Unreadable("the event has a word or a time that is not known here", newer=True)


class Codec:
    """Encodes events in one framing and decodes them in both, in every version of their schemas. For one thread."""

    def __init__(self, *, framing: Framing = SINGLE_OBJECT) -> None:
        self._framing = framing
        self._known = _known_schemas()
        self._ours = {_TYPES[name]: parse_plain(schema_text(name)) for name in EVENT_NAMES}
        # what a prefix means, once it was looked at: ten bytes of a single object, five of Confluent's format
        self._seen: dict[bytes, _Known | Unreadable] = dict(self._known)
        self._prefix = {_TYPES[name]: self._prefix_of(name) for name in EVENT_NAMES}

    def encode(self, event: Event | Bundle) -> bytes:
        """Return the bytes of an event or a bundle of them; text that UTF-8 cannot hold is written with backslashes."""
        fields = event_fields(event)
        try:
            written = self._write(type(event), fields)
        except UnicodeEncodeError:
            written = self._write(type(event), _writable(fields))
        match event:
            case ResolvedBundle(events):
                return written.removesuffix(EMPTY) + bundled_resolutions(events)
            case ReplayBundle(events):
                return written.removesuffix(EMPTY) + bundled_requests(events)
            case _:
                return written

    def decode(self, data: bytes) -> Event | Bundle | Unreadable:
        """Return the event or the bundle; whatever else the bytes are, what is wrong with them. Raises only what the registry does."""
        known = self._find(data)
        if isinstance(known, Unreadable):
            return known
        value = data[SINGLE_OBJECT_BYTES if data.startswith(SINGLE_OBJECT_MARK) else CONFLUENT_BYTES :]
        try:
            event: Event | Bundle = known.read(value if known.renew is None else known.renew(value))
        except UnknownWordError:
            return _WORD
        except FAULTS:
            return _CUT
        return event

    def kind(self, data: bytes) -> type[Event | Bundle] | None:
        """Return which event or bundle the bytes are by their first bytes alone, None for none; raises only what the registry does."""
        known = self._find(data)
        return None if isinstance(known, Unreadable) else known.event

    def _find(self, data: bytes) -> _Known | Unreadable:
        prefix = data[:CONFLUENT_BYTES] if data[:1] == CONFLUENT_MARK else data[:SINGLE_OBJECT_BYTES]
        found = self._seen.get(prefix)
        if found is not None:
            return found
        return self._look_up(prefix)

    def _look_up(self, prefix: bytes) -> _Known | Unreadable:
        if prefix.startswith(CONFLUENT_MARK):
            return self._ask_registry(prefix) if len(prefix) == CONFLUENT_BYTES else _CUT
        if not prefix.startswith(SINGLE_OBJECT_MARK):
            return _STRANGE if prefix else _EMPTY
        return _NEWER if len(prefix) == SINGLE_OBJECT_BYTES else _CUT

    def _ask_registry(self, prefix: bytes) -> _Known | Unreadable:
        if isinstance(self._framing, SingleObject):
            return _NO_REGISTRY
        text = self._framing.find_schema(confluent_id(prefix))
        if text is None:
            return _NO_SCHEMA  # not kept: it may be registered a moment later
        return self._seen.setdefault(prefix, self._recognise(text))

    def _recognise(self, text: str) -> _Known | Unreadable:
        try:
            schema = parse_plain(text)
            known = self._known.get(single_object_prefix(schema))
            name = schema["name"]
        except Exception:  # noqa: BLE001  a registry may hold anything under an id
            return _NO_EVENT
        if known is not None:
            return known
        return _NEWER if name.removeprefix("instep.") in EVENT_NAMES else _NO_EVENT

    def _prefix_of(self, name: str) -> bytes:
        match self._framing:
            case SingleObject():
                return single_object_prefix(self._ours[_TYPES[name]])
            case Confluent(ids=ids):
                prefix = confluent_prefix(ids[name])
                self._seen[prefix] = self._known[single_object_prefix(self._ours[_TYPES[name]])]
                return prefix

    def _write(self, event: type[Event | Bundle], fields: Fields) -> bytes:
        stream = BytesIO()
        stream.write(self._prefix[event])
        schemaless_writer(stream, self._ours[event], fields)
        return stream.getvalue()


def _known_schemas() -> dict[bytes, _Known]:
    """Return every event schema there ever was, by the ten bytes before its single objects."""
    known: dict[bytes, _Known] = {}
    for name in EVENT_NAMES:
        ours = parse_plain(schema_text(name))
        read = value_reader(parse_logical(schema_text(name)), make=MAKE)
        for version in versions(name):
            theirs = parse_plain(schema_text(name, version))
            known[single_object_prefix(theirs)] = _Known(_TYPES[name], read, _renewal(theirs, ours))
        known[single_object_prefix(ours)] = _Known(_TYPES[name], read, None)
    return known


def _renewal(theirs: Any, ours: Any) -> Callable[[bytes], bytes]:
    """Return what writes a value of an older schema anew, as Avro resolves the two; it raises one of FAULTS for bad bytes."""

    def renew(data: bytes) -> bytes:
        stream, renewed = BytesIO(data), BytesIO()
        try:
            fields = schemaless_reader(stream, theirs, ours)
        except Exception as error:  # fastavro raises whatever its parts do; bytes from outside stop here
            raise ValueError("the bytes do not fit the schema") from error
        if stream.tell() != len(data):
            raise ValueError("more bytes than the schema asks for")
        schemaless_writer(renewed, ours, fields)
        return renewed.getvalue()

    return renew


def _writable(fields: Any) -> Any:
    match fields:
        case str():
            return fields.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {_writable(key): _writable(value) for key, value in fields.items()}
        case list():
            return [_writable(value) for value in fields]
        case (name, content):
            return name, _writable(content)
        case _:
            return fields
