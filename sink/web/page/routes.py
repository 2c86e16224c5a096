"""Every page."""

from fastapi import APIRouter

from sink.web.page import (
    acting,
    assets,
    audit,
    clear,
    codes,
    correcting,
    entry,
    group,
    group_list,
    listing,
    overview,
    quarantine,
    replays,
    status,
)

LISTS = listing.router
"""The lists of entries, whose parameters are filters and are read by themselves."""
ROUTERS: tuple[APIRouter, ...] = (
    assets.router,
    overview.router,
    acting.router,
    correcting.router,
    entry.router,
    clear.router,
    group_list.router,
    group.router,
    replays.router,
    status.router,
    quarantine.router,
    audit.router,
    codes.router,
)
