"""Every resource of the API."""

from fastapi import APIRouter

from sink.web.api import archive, audit, catalogue, entries, quarantine, replays, tokens

ROUTERS: tuple[APIRouter, ...] = (
    entries.router,
    replays.router,
    quarantine.router,
    archive.router,
    audit.router,
    catalogue.router,
    tokens.router,
    tokens.repeatable,
)
