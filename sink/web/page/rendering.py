"""Pages from templates, each within the frame that all share."""

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from sink.console.inert import inert
from sink.moment import from_us, to_text
from sink.web.access.person import Person, Role
from sink.web.page import words
from sink.web.page.assets import assets
from sink.web.page.flash import forget_flash, read_flash
from sink.web.page.frame import NO_FRAME, Frame, read_frame
from sink.web.web import Web, WebDep


@dataclass(frozen=True, slots=True)
class Page:
    """One request for a page, and what it is made with."""

    request: Request
    web: Web

    def show(
        self,
        person: Person | None,
        template: str,
        *,
        status: int = 200,
        frame: Frame | None = None,
        **values: Any,
    ) -> HTMLResponse:
        """Return a template within the frame; `frame` is read from the store unless it is given.

        Templates know `person` (None before signing in), `can_act`, `is_admin`, `csrf`, `now_us`, `path` and `values`.
        Raises what StoreAway lists while the store is away.
        """
        now_us = self.web.clock_us()
        if frame is None:
            frame = NO_FRAME if person is None else self._read_frame()
        shared = {
            "person": person,
            "can_act": person is not None and person.role.covers(Role.OPERATOR),
            "is_admin": person is not None and person.role.covers(Role.ADMIN),
            "csrf": None if person is None else person.csrf,
            "frame": frame,
            "said": read_flash(self.request),
            "now_us": now_us,
            "path": self.request.url.path,
        }
        text = environment().get_template(template).render(shared | values)
        answer = HTMLResponse(text, status)
        forget_flash(self.request, answer)
        return answer

    def _read_frame(self) -> Frame:
        config = self.web.config
        return self.web.recent.read(
            "frame", lambda connection, now_us: read_frame(connection, config, now_us)
        )


def current_page(request: Request, web: WebDep) -> Page:
    """Return the request with what pages are made of."""
    return Page(request, web)


PageDep = Annotated[Page, Depends(current_page)]


@cache
def environment() -> Environment:
    """Return the templates with their filters; whatever they print is escaped."""
    made = Environment(
        loader=PackageLoader("sink.web.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters = {
        "inert": _inert,
        "mapping": words.mapping,
        "ago": _ago,
        "exact": exact,
        "number": words.number,
        "entries": words.entries,
        "count": words.count,
        "span": words.span,
        "length_of_time": words.length,
        "weblink": web_link,
    }
    made.filters.update(filters)
    # a list has it in every line
    made.globals["state_mark"] = cache(
        lambda state: Markup(made.get_template("macros.html").module.state(state))  # type: ignore[attr-defined]  # noqa: S704  # escaped by the template
    )
    made.globals.update(asset=lambda name: assets()[name].address, STATES=words.STATES, ENDED=words.ENDED)
    return made


def web_link(address: str | None) -> str | None:
    """Return an address from an event if a browser may be sent there: http and https alone."""
    if address is None or inert(address) != address:
        return None
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return address if parts.scheme in {"http", "https"} and parts.netloc else None


def exact(us: int | None) -> str:
    """Return a moment to the second, in UTC."""
    return "" if us is None else f"{from_us(us).isoformat(' ', 'seconds').removesuffix('+00:00')} UTC"


def _inert(text: object) -> str:
    return inert(str(text))


@pass_context
def _ago(context: Context, us: int | None) -> Markup:
    """Return a moment as people say it, the exact one on hover and for programs."""
    if us is None:
        return Markup("")
    said = words.ago(us, context["now_us"])
    # of numbers alone, so nothing in it has to be escaped
    return Markup(f'<time datetime="{to_text(us)}" title="{exact(us)}">{said}</time>')  # noqa: S704
