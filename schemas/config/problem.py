"""What is wrong with a configuration file, as values that a person can act on."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; `line` starts at 1 and is None when the whole file is meant. Never holds a configured value."""

    file: str
    path: str
    line: int | None
    what: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.path}: {self.what}" if self.path else f"{place}: {self.what}"


@dataclass(frozen=True, slots=True)
class ConfigProblems:
    """Everything that is wrong with one file, in the order of its lines; never empty."""

    problems: tuple[Problem, ...]

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


def path_text(path: Path) -> str:
    """Return a path as people write it: mappings.customers.fields[2].target."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ' Did you mean "…"?' for the nearest known word, or nothing when none is near."""
    by_folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return f' Did you mean "{by_folded[near[0]]}"?' if near else ""
