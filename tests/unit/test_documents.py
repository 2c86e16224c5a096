"""What the pages say is there: their links lead somewhere, their commands and options exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from instep.main import app
from instep.page import commands_of
from tests.unit.house import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(page: Path) -> Iterator[list[str]]:
    """The calls of `instep` in a page's blocks and words, without what comments, pipes and the shell add."""
    text = page.read_text()
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("instep ")]
    inline = re.findall(r"`(instep [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    for line in (*lines, *inline):
        yield re.split(r"\s+(?:#|&|\||>|…)", line)[0].split()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or target.suffix != ".md" or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_their_options_exist(page: Path) -> None:
    options = {
        tuple(name.split()[1:]): {option for parameter in command.params for option in parameter.opts}
        for name, command in commands_of(app)
    }
    for _, *words in commands(page):
        found = [name for name in options if tuple(words[: len(name)]) == name]
        whole_group = any(tuple(words) == name[: len(words)] for name in options)
        assert found or whole_group or words[0].isupper(), words
        named = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert named <= (options[found[0]] if found else set()), words
