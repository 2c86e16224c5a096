"""Whether a request that changes something may have been made by the page of another. Pure."""

from collections.abc import Mapping
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def is_from_elsewhere(method: str, headers: Mapping[str, str], host: str) -> bool:
    """Whether a browser says that another site made the request; `headers` by names in lower case, `host` as asked for.

    Browsers tell it in Sec-Fetch-Site, over plain HTTP to other machines only in Origin; programs send neither.
    https://www.w3.org/TR/fetch-metadata/, https://fetch.spec.whatwg.org/#origin-header
    """
    if method in SAFE_METHODS:
        return False
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    sender = headers.get("origin")
    return sender is not None and _server(sender) != host.lower()


def is_from_browser(headers: Mapping[str, str]) -> bool:
    """Whether a request shows any sign of a browser, as every request of one does that changes something."""
    return any(name in headers for name in ("sec-fetch-site", "origin", "cookie", "referer"))


def _server(address: str) -> str | None:
    try:
        return urlsplit(address).netloc.lower()
    except ValueError:
        return None
