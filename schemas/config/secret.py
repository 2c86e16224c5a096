"""Secrets and other outside values: `${NAME}` from the environment, `${file:/run/secrets/x}` from a file.

They are put into the values of a parsed document, never into its text, so that no secret can change the structure.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from schemas.config.problem import Path

ReadSecretFile = Callable[[str], str]
"""Returns the text of a secret file; raises OSError or UnicodeDecodeError."""

# `$${` stands for a literal `${`.
_PLACEHOLDER = re.compile(r"\$\$\{|\$\{([^}]*)\}|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_BEFORE_USERINFO = re.compile(r"[A-Za-z][\w+.-]*://[^/@]*")
_AFTER_USERINFO = re.compile(r"[^/@]*@")


@dataclass(frozen=True, slots=True)
class Missing:
    """A placeholder that stands for nothing; `what` names it, never its value."""

    path: Path
    what: str


@dataclass(frozen=True, slots=True)
class SecretSource:
    """Where outside values come from."""

    environ: Mapping[str, str]
    read_file: ReadSecretFile

    def find(self, name: str) -> str | Missing:
        """Return the value of one placeholder; a trailing line end of a file is no part of a secret."""
        if name.startswith("file:"):
            return self._from_file(name.removeprefix("file:"))
        if not _NAME.fullmatch(name):
            return Missing(
                (), 'not a placeholder: write ${NAME} or ${file:/path}, and "$${" for a literal "${"'
            )
        if name not in self.environ:
            return Missing((), f"the environment variable {name} is not set")
        return self.environ[name]

    def _from_file(self, file: str) -> str | Missing:
        try:
            text = self.read_file(file)
        except UnicodeDecodeError:
            return Missing((), f"the secret file {file} is not UTF-8 text")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a path"
            return Missing((), f"the secret file {file} cannot be read: {reason}")
        return text.removesuffix("\n").removesuffix("\r")


def fill(data: Any, source: SecretSource, path: Path = ()) -> tuple[Any, list[Missing]]:
    """Return the data with every placeholder in its values filled, and what is missing; what is missing stays as written."""
    match data:
        case str():
            return fill_text(data, source, path)
        case dict():
            filled = {key: fill(value, source, (*path, str(key))) for key, value in data.items()}
            return {key: value for key, (value, _) in filled.items()}, [
                m for _, ms in filled.values() for m in ms
            ]
        case list():
            items = [fill(item, source, (*path, index)) for index, item in enumerate(data)]
            return [value for value, _ in items], [m for _, ms in items for m in ms]
        case _:
            return data, []


def fill_text(text: str, source: SecretSource, path: Path = ()) -> tuple[str, list[Missing]]:
    """Fill the placeholders of one text.

    Between `://` and `@` of a URL a value is percent-encoded, so that a password may hold any character.
    """
    parts: list[str] = []
    missing: list[Missing] = []
    end = 0
    for found in _PLACEHOLDER.finditer(text):
        parts.append(text[end : found.start()])
        end = found.end()
        if found.group() == "$${":
            parts.append("${")
            continue
        value = source.find(found.group(1) or "")
        if isinstance(value, Missing):
            missing.append(Missing(path, value.what))
            parts.append(found.group())
        else:
            parts.append(quote(value, safe="") if _in_userinfo(text, found) else value)
    parts.append(text[end:])
    return "".join(parts), missing


def _in_userinfo(text: str, found: re.Match[str]) -> bool:
    before = _PLACEHOLDER.sub("x", text[: found.start()])
    after = _PLACEHOLDER.sub("x", text[found.end() :])
    return bool(_BEFORE_USERINFO.fullmatch(before) and _AFTER_USERINFO.match(after))
