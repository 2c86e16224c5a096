"""Every page."""

from fastapi import APIRouter

from sink.web.page import assets

ROUTERS: tuple[APIRouter, ...] = (assets.router,)
