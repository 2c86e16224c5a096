"""A browser without JavaScript: pages, their links, and their forms sent as a browser sends them."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx2

_BLOCKS = frozenset(
    {"br", "dd", "div", "dt", "h1", "h2", "h3", "li", "nav", "option", "p", "section", "td", "th"}
)


@dataclass(slots=True)
class Form:
    """One form: the fields with the values that it begins with, its boxes and its buttons by label."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    boxes: list[tuple[str, str]] = field(default_factory=list)
    buttons: dict[str, tuple[str, str] | None] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Read:
    """A page as a browser reads it: its words, its forms, and every element with its attributes."""

    status: int
    address: str
    text: str
    words: str
    forms: list[Form]
    elements: list[tuple[str, dict[str, str | None]]]

    def links(self) -> list[str]:
        return [attributes.get("href") or "" for name, attributes in self.elements if name == "a"]

    def form(self, button: str) -> Form:
        found = [form for form in self.forms if button in form.buttons]
        assert found, f"no form has a button {button!r}: {[list(form.buttons) for form in self.forms]}"
        return found[0]


class Browser:
    """One person at the page; follows redirects and keeps cookies."""

    def __init__(self, client: httpx2.Client) -> None:
        self.client = client
        client.headers["Accept"] = "text/html"

    def open(self, address: str) -> Read:
        return self._follow(self.client.get(address))

    def press(
        self,
        page: Read,
        button: str,
        *,
        ticked: list[str] | None = None,
        files: dict[str, tuple[str, bytes]] | None = None,
        **typed: str,
    ) -> Read:
        """Send the form of a button; `ticked` are values of boxes, `typed` values of fields (dots written as __)."""
        form = page.form(button)
        values = {name.replace("__", "."): value for name, value in typed.items()}
        sent = [(name, values.pop(name, value)) for name, value in form.fields]
        assert not values, f"the form has no {list(values)}"
        sent += [box for box in form.boxes if box[1] in (ticked or [])]
        named = form.buttons[button]
        if named is not None:
            sent.append(named)
        address = urljoin(page.address, form.action)
        if form.method == "get":
            return self._follow(self.client.get(address, params=[pair for pair in sent if pair[1]]))
        data: dict[str, list[str]] = {}
        for name, value in sent:
            data.setdefault(name, []).append(value)
        return self._follow(self.client.post(address, data=data, files=files))

    def _follow(self, answer: httpx2.Response) -> Read:
        while answer.is_redirect:
            answer = self.client.get(urljoin(str(answer.url), answer.headers["location"]))
        parts = urlsplit(str(answer.url))
        address = parts.path + (f"?{parts.query}" if parts.query else "")
        return read(answer.text, answer.status_code, address)


def read(text: str, status: int = 200, address: str = "/") -> Read:
    """Read a page."""
    reader = _Reader()
    reader.feed(text)
    return Read(status, address, text, " ".join("".join(reader.words).split()), reader.forms, reader.elements)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.forms: list[Form] = []
        self.words: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._area: str | None = None
        self._button: tuple[str, tuple[str, str] | None] | None = None
        self._select: tuple[str, str | None] | None = None
        self._form: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag in _BLOCKS:
            self.words.append(" ")
        if tag == "form":
            self._form = Form(attributes.get("action") or "", (attributes.get("method") or "get").lower())
            self.forms.append(self._form)
        elif self._form is not None and "disabled" not in attributes:
            self._in_form(tag, attributes, self._form)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "textarea":
            self._area = None
        elif tag == "button" and self._button is not None and self._form is not None:
            label, named = self._button
            self._form.buttons[" ".join(label.split())] = named
            self._button = None
        elif tag == "select" and self._select is not None and self._form is not None:
            self._form.fields.append((self._select[0], self._select[1] or ""))
            self._select = None

    def handle_data(self, data: str) -> None:
        self.words.append(data)
        if self._button is not None:
            self._button = (self._button[0] + data, self._button[1])
        if self._area is not None and self._form is not None:
            name, value = self._form.fields.pop()
            # a browser leaves out the first line break of a text area
            self._form.fields.append((name, value + (data if value else data.removeprefix("\n"))))

    def _in_form(self, tag: str, attributes: dict[str, str | None], form: Form) -> None:
        name, value = attributes.get("name") or "", attributes.get("value") or ""
        kind = attributes.get("type") or "text"
        if tag == "button":
            self._button = ("", (name, value) if name else None)
        elif tag == "textarea":
            self._area = name
            form.fields.append((name, ""))
        elif tag == "select":
            self._select = (name, None)
        elif tag == "option" and self._select is not None and "selected" in attributes:
            self._select = (self._select[0], value)
        elif tag == "input" and kind == "file":
            form.files.append(name)
        elif tag == "input" and kind in {"checkbox", "radio"}:
            (form.fields if "checked" in attributes else form.boxes).append((name, value or "on"))
        elif tag == "input" and name:
            form.fields.append((name, value))
