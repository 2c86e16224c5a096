"""Every page."""

from fastapi import APIRouter

ROUTERS: tuple[APIRouter, ...] = ()
