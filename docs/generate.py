"""Writes the generated pages of this folder: `make docs`."""

from pathlib import Path

from instep.main import app
from instep.page import cli_page
from schemas.catalogue import catalogue
from schemas.catalogue_page import page as errors_page
from schemas.config.page import configuration_page
from sink.web.api.page import api_page

PAGES = {
    "api.md": api_page,
    "cli.md": lambda: cli_page(app),
    "configuration.md": configuration_page,
    "errors.md": lambda: errors_page(catalogue()),
}


def main() -> None:
    """Write every generated page."""
    for name, page in PAGES.items():
        (Path(__file__).parent / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
