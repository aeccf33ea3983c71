"""What a docstring says of a function and of its arguments, in the styles in which people write.

Those of Google (``Args:``), NumPy (``Parameters`` underlined) and Sphinx (``:param name:``).
"""

from __future__ import annotations

import re

__all__ = ["described"]

_OF_ARGUMENTS = frozenset(
    {"args", "arguments", "parameters", "params", "keyword args", "keyword arguments"}
    | {"other parameters", "keyword parameters"}
)
_SECTION = re.compile(
    r"(args|arguments|parameters|params|keyword \w+|other parameters|returns?|yields?|raises|"
    r"examples?|notes?|warnings?|warns|see also|references|attributes|todo):\s*",
    re.IGNORECASE,
)
_UNDERLINE = re.compile(r"[-=~]{3,}\s*")
_FIELD = re.compile(r"[:@](\w+)(?:\s+(?:[^:]*\s)?\**(\w+))?\s*:\s*(.*)")
_FIELDS_OF_ARGUMENTS = frozenset({"param", "parameter", "arg", "argument", "key", "keyword"})
_GOOGLE = re.compile(r"\**(\w+)\s*(?:\(.*?\))?\s*:\s*(.*)")
_NUMPY = re.compile(r"(\**\w+(?:\s*,\s*\**\w+)*)\s*(?::.*)?")


def described(docstring: str) -> tuple[str, dict[str, str]]:
    """Split a docstring into what the function does, and what each argument means.

    What it does is all that stands before the first section.

    Args:
        docstring: Without the indentation of its code (see `inspect.getdoc`).
    """
    return _Reader(docstring.splitlines()).read()


class _Reader:
    """Reads a docstring line by line."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._said: list[str] = []
        self._meanings: dict[str, list[str]] = {}
        self._names: list[str] = []
        self._section: str | None = None
        self._entry: re.Pattern[str] | None = None
        self._indent: int | None = None

    def read(self) -> tuple[str, dict[str, str]]:
        for place, line in enumerate(self._lines):
            following = self._lines[place + 1] if place + 1 < len(self._lines) else ""
            if not (_UNDERLINE.fullmatch(line) or self._begins(line, following)):
                self._take(line)

        meanings = {name: " ".join(words) for name, words in self._meanings.items()}
        return " ".join(" ".join(self._said).split()), meanings

    def _begins(self, line: str, following: str) -> bool:
        """Take a line that begins a section, or a field of Sphinx's."""
        is_underlined = bool(line.strip()) and _UNDERLINE.fullmatch(following) is not None
        if is_underlined or _SECTION.fullmatch(line):
            self._section = line.strip().rstrip(":").lower()
            self._names, self._indent = [], None
            is_of_arguments = self._section in _OF_ARGUMENTS
            self._entry = (_NUMPY if is_underlined else _GOOGLE) if is_of_arguments else None
            return True

        field = _FIELD.fullmatch(line.strip())
        if field is None:
            return False

        self._section, self._entry = "field", None
        self._names = [field[2]] if field[1] in _FIELDS_OF_ARGUMENTS and field[2] else []
        self._add(field[3])
        return True

    def _take(self, line: str) -> None:
        words = line.strip()
        if self._section is None:
            self._said.append(words)
        elif words and self._entry is not None:
            indent = len(line) - len(line.lstrip())
            self._indent = indent if self._indent is None else self._indent
            found = self._entry.fullmatch(words) if indent <= self._indent else None
            if found is None:
                self._add(words)
            elif self._entry is _GOOGLE:
                self._names = [found[1]]
                self._add(found[2])
            else:
                self._names = [each.strip(" *") for each in found[1].split(",")]
        elif words:
            self._add(words)

    def _add(self, words: str) -> None:
        for name in self._names if words else ():
            self._meanings.setdefault(name, []).append(words)
