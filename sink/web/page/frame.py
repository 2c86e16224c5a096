"""What the frame of every page tells: how much waits for whom, and which apps are paused."""

from dataclasses import dataclass

from sqlalchemy import Connection

from schemas.catalogue import catalogue
from schemas.config.model import Config
from sink.store.progress import paused_mappings


@dataclass(frozen=True, slots=True)
class PausedApp:
    """An app that takes nothing at the moment: the code that says why, and the mappings that wait for it."""

    app: str
    code: str
    title: str
    mappings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around every page; `record_errors` and `setup_errors` are what is open and waits for a person."""

    record_errors: int
    setup_errors: int
    paused: tuple[PausedApp, ...]


NO_FRAME = Frame(0, 0, ())


def read_frame(connection: Connection, config: Config, now_us: int) -> Frame:
    """Return the frame as it is now."""
    return Frame(0, 0, paused_apps(paused_mappings(connection, now_us), config))


def paused_apps(paused: dict[str, str], config: Config) -> tuple[PausedApp, ...]:
    """Return the apps behind paused mappings, each with the reason heard last."""
    apps: dict[str, list[str]] = {}
    for mapping in paused:
        known = config.mappings.get(mapping)
        apps.setdefault(mapping if known is None else known.target.app, []).append(mapping)
    return tuple(
        PausedApp(app, code := paused[mappings[-1]], _title(code), tuple(sorted(mappings)))
        for app, mappings in sorted(apps.items())
    )


def _title(code: str) -> str:
    known = catalogue().get(code)
    return code if known is None else known.title
