"""Archive files: entries with their messages, before they are deleted, and on their way back.

An archive is an Avro container file without compression. Its last record counts the entries and ends with the SHA-256 of
everything before that checksum: the last 48 bytes of the file are the checksum and the container's sync marker. A file is
written under a temporary name, flushed to the disk and read back before it gets its own.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from fastavro import is_avro, parse_schema, reader
from fastavro.write import Writer

# 2: entries have a group, failed replays and an origin; an older program would take a foreign dead letter for its own
FORMAT_VERSION = 2
_VERSION_NAME = "instep.archive"
_ENTRY = "instep.archive.Entry"
_END = "instep.archive.End"
_CHECKSUM_BYTES = 32
_TAIL_BYTES = _CHECKSUM_BYTES + 16
_READ_BYTES = 1 << 20
# what an archive of version 1 does not say
_LATER_COLUMNS = MappingProxyType(
    {"group_id": "", "group_version": 0, "failed_replays": 0, "origin": "instep"}
)

Row = dict[str, Any]


class ArchiveError(Exception):
    """An archive cannot be written or must not be restored; the text says which file, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A complete archive file."""

    path: Path
    entries: int


def write_archive(path: Path, rows: Iterable[Row]) -> Archive:
    """Write rows (columns of the entry table and `original`) to a new file; raises ArchiveError, leaving no file behind."""
    if path.exists():
        raise ArchiveError(f"{path} exists already; choose another name, or move it away")
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _open_private(unfinished) as file:
            count = _write_rows(file, rows)
            _seal(file)
            file.flush()
            os.fsync(file.fileno())
        _verify(unfinished, count)
        unfinished.rename(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise ArchiveError(
            f"{path} cannot be written: {error.strerror or error}; nothing was deleted"
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)
    return Archive(path, count)


def open_archive(path: Path) -> Archive:
    """Check a file from its first to its last byte; raises ArchiveError when it is not a complete, unaltered archive."""
    try:
        return Archive(path, _verify(path, None))
    except OSError as error:
        raise ArchiveError(f"{path} cannot be read: {error.strerror or error}") from None


def read_archive(archive: Archive) -> Iterator[Row]:
    """Yield the rows of an archive that was checked before, those of older versions with what was added since."""
    with archive.path.open("rb") as file:
        for kind, record in _records(file):
            if kind == _ENTRY:
                yield {**_LATER_COLUMNS, **record}


def _write_rows(file: BinaryIO, rows: Iterable[Row]) -> int:
    metadata = {_VERSION_NAME: str(FORMAT_VERSION)}
    writer: Any = Writer(file, _schema(), metadata=metadata, sync_interval=256 << 10)
    count = 0
    for row in rows:
        writer.write((_ENTRY, row))
        count += 1
    writer.write((_END, {"entries": count, "sha256": bytes(_CHECKSUM_BYTES)}))
    writer.flush()
    return count


def _seal(file: BinaryIO) -> None:
    digest = _digest(file)
    file.seek(-_TAIL_BYTES, os.SEEK_END)
    file.write(digest)


def _verify(path: Path, expected: int | None) -> int:
    if not is_avro(str(path)):
        raise ArchiveError(f"{path} is no archive of Instep")
    with path.open("rb") as file:
        digest = _digest(file)
        file.seek(-_TAIL_BYTES, os.SEEK_END)
        if file.read(_CHECKSUM_BYTES) != digest:
            raise ArchiveError(
                f"{path} is cut short or was altered: its checksum does not fit. Nothing was restored; use another copy"
            )
        file.seek(0)
        return _count(path, file, expected)


def _count(path: Path, file: BinaryIO, expected: int | None) -> int:
    container = reader(file, return_record_name=True)
    version = container.metadata.get(_VERSION_NAME, "")
    if not version.isdecimal():
        raise ArchiveError(f"{path} is an Avro file, but no archive of Instep")
    if int(version) > FORMAT_VERSION:
        raise ArchiveError(
            f"{path} was written by a newer Instep (archive version {version}, this one reads up to {FORMAT_VERSION}); "
            "restore it with that version"
        )
    entries, end = 0, None
    try:
        for kind, record in _records_of(container):
            entries += kind == _ENTRY
            end = record["entries"] if kind == _END else None
    except (ValueError, EOFError, IndexError, KeyError) as error:
        raise ArchiveError(f"{path} was altered: {type(error).__name__}. Use another copy") from None
    if end != entries or (expected is not None and entries != expected):
        raise ArchiveError(f"{path} is not complete: it does not end as an archive does. Use another copy")
    return entries


def _digest(file: BinaryIO) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    digest = hashlib.sha256()
    left = max(0, size - _TAIL_BYTES)
    while left:
        chunk = file.read(min(_READ_BYTES, left))
        digest.update(chunk)
        left -= len(chunk)
    return digest.digest()


def _records(file: BinaryIO) -> Iterator[tuple[str, Row]]:
    yield from _records_of(reader(file, return_record_name=True))


def _records_of(container: Any) -> Iterator[tuple[str, Row]]:
    for kind, record in container:
        original = record.get("original")
        if isinstance(original, tuple):  # the reader names the record type of a nested union, too
            record["original"] = original[1]
        yield kind, record


def _schema() -> Any:
    return parse_schema(json.loads(files("sink").joinpath("archive.avsc").read_text(encoding="utf-8")))


def _open_private(path: Path) -> BinaryIO:
    # messages hold the records' values: nobody else may read them
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    return os.fdopen(descriptor, "r+b")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
