"""The folder where archives of cleared entries are kept: `sink.archive`, or where the sink runs."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from schemas.config.model import Config

ARCHIVE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}\.avro")
"""What a name that comes from outside has to look like: it leads nowhere else."""


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """One archive in the folder."""

    name: str
    bytes: int
    written_us: int


def archive_folder(config: Config) -> Path:
    """Return where archives are written and looked for."""
    return Path(config.sink.archive or ".")


def new_archive(config: Config) -> Path:
    """Return a new name for an archive in the folder, after the moment of this call."""
    return archive_folder(config) / f"instep-errors-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.avro"


def list_archives(config: Config) -> list[ArchiveFile]:
    """Return the archives, the newest first; none when the folder cannot be read."""
    try:
        found = [
            ArchiveFile(file.name, stat.st_size, stat.st_mtime_ns // 1000)
            for file in archive_folder(config).glob("*.avro")
            if _is_archive(file) and (stat := file.stat())
        ]
    except OSError:
        return []
    return sorted(found, key=lambda each: (each.written_us, each.name), reverse=True)


def find_archive(config: Config, name: str) -> Path | None:
    """Return the archive of this name in the folder; None for anything else, links and paths among it."""
    file = archive_folder(config) / name
    return file if _is_archive(file) and file.name == name else None


def _is_archive(file: Path) -> bool:
    return ARCHIVE_NAME.fullmatch(file.name) is not None and not file.is_symlink() and file.is_file()
