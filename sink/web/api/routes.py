"""Every resource of the API."""

from fastapi import APIRouter

from sink.web.api import archive, audit, catalogue, entries, groups, quarantine, replays, status, tokens

ROUTERS: tuple[APIRouter, ...] = (
    status.router,
    entries.router,
    groups.router,
    replays.router,
    quarantine.router,
    archive.router,
    audit.router,
    catalogue.router,
    tokens.router,
    tokens.repeatable,
)
