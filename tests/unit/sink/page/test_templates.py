"""What holds of the templates of all pages."""

import re
from pathlib import Path

import sink.web.page

ASKS = re.compile(r"<[^>]*\bhx-(?:get|post|put|patch|delete)=[^>]*>")
TEMPLATES = Path(sink.web.page.__file__).parent / "templates"


def test_pages_ask_by_themselves_on_a_timer_alone() -> None:
    """What htmx asks for does not count as use of a session, so nothing that a person clicks may be asked for by it."""
    asking = [each for file in TEMPLATES.glob("*.html") for each in ASKS.findall(file.read_text())]
    assert asking
    assert [each for each in asking if 'hx-trigger="every ' not in each] == []
