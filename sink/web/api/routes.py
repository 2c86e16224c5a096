"""Every resource of the API."""

from fastapi import APIRouter

ROUTERS: tuple[APIRouter, ...] = ()
