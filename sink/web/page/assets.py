"""Style, scripts and icon of the page: each at an address that names its content, so that a browser may keep it for good."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from fastapi import APIRouter, HTTPException, Response

router = APIRouter()

_TYPES = {
    "instep.css": "text/css; charset=utf-8",
    "pages.css": "text/css; charset=utf-8",
    "instep.js": "text/javascript; charset=utf-8",
    "htmx.min.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is served; `address` changes with its content."""

    address: str
    digest: str
    content: bytes
    media_type: str


@cache
def assets() -> Mapping[str, Asset]:
    """Return what is served below /static, by file name."""
    return MappingProxyType({name: _asset(name, media_type) for name, media_type in _TYPES.items()})


@router.get("/static/{digest}/{name}")
def static(digest: str, name: str) -> Response:
    """A file of the page; 404 for one of another version."""
    found = assets().get(name)
    if found is None or found.digest != digest:
        raise HTTPException(404, "there is no such file")
    return Response(found.content, media_type=found.media_type, headers={"Cache-Control": _FOR_GOOD})


def _asset(name: str, media_type: str) -> Asset:
    content = files("sink.web.page").joinpath("static", name).read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:16]
    return Asset(f"/static/{digest}/{name}", digest, content, media_type)
