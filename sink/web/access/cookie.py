"""The cookie of a session.

Lax and not Strict: links in alerts and mails lead to the page, and whoever follows one is signed in. Reading is all that a link of
another site can bring about: what changes something is a POST, with a secret of the session in it. Under TLS the name begins with
`__Host-`, which keeps neighbouring hosts from setting it (https://www.rfc-editor.org/rfc/rfc6265#section-8.6,
https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Set-Cookie).
"""

from starlette.responses import Response

_NAME = "instep"


def cookie_name(scheme: str) -> str:
    """Return the name of the cookie under a scheme."""
    return f"__Host-{_NAME}" if scheme == "https" else _NAME


def give_cookie(answer: Response, cookie: str, scheme: str, max_age_s: int) -> None:
    """Have the browser keep a session's cookie; no script can read it."""
    answer.set_cookie(
        cookie_name(scheme),
        cookie,
        max_age=max_age_s,
        path="/",
        secure=scheme == "https",
        httponly=True,
        samesite="lax",
    )


def drop_cookie(answer: Response, scheme: str) -> None:
    """Have the browser forget a session's cookie."""
    answer.delete_cookie(
        cookie_name(scheme), path="/", secure=scheme == "https", httponly=True, samesite="lax"
    )
