"""Writing plain values as YAML, for people and for every reader of YAML.

A study of ten thousand conditions has a study file of fifty thousand lines. A general writer of
YAML asks many questions of every character; plain values raise few of them, and are written in
less than a tenth of the time.
"""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["yaml_text"]

_PLAIN = re.compile(r"[A-Za-z_](?:[\w ./+-]*[\w./+-])?")
_FLAGS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""What YAML 1.1 takes for something else than text, however it is capitalized."""

_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff\ud800-\udfff]')
_ESCAPES = dict(zip('"\\\0\a\b\t\n\v\f\r\x1b\x85\u2028\u2029', '"\\0abtnvfreNLP', strict=True))

_LONGEST_KEY = 128
"""Readers do not look any further for the colon; a longer key stands behind a question mark."""


def yaml_text(value: Any) -> str:
    """Write a value of JSON as YAML 1.1 and 1.2 readers alike understand it.

    Mappings and lists are blocks, an item a line, in their own order. Texts of several lines are
    written as such, and what a reader could take for something else than text is in quotes.

    Args:
        value: A value as JSON has it; see `penstock._base.frozen.frozen_json` for others.
    """
    return f"{_written(value, '')}\n"


def _written(value: Any, indent: str) -> str:
    """Write a value whose first line is begun already; the others begin with the indentation."""
    if isinstance(value, str):
        return _several_lines(value, indent) if "\n" in value else _text(value)

    if isinstance(value, dict) and value:
        return f"\n{indent}".join([_entry(key, held, indent) for key, held in value.items()])

    if isinstance(value, list) and value:
        deeper = f"{indent}  "
        return f"\n{indent}".join([f"- {_written(held, deeper)}" for held in value])

    return _number(value) if isinstance(value, float) else json.dumps(value)


def _entry(key: str, held: Any, indent: str) -> str:
    name = _text(key)
    named = f"{name}:" if len(key) <= _LONGEST_KEY else f"? {name}\n{indent}:"
    if isinstance(held, list) and held:  # its dashes are indentation enough
        return f"{named}\n{indent}{_written(held, indent)}"

    deeper = f"{indent}  "
    begins = f"\n{deeper}" if isinstance(held, dict) and held else " "
    return f"{named}{begins}{_written(held, deeper)}"


def _several_lines(text: str, indent: str) -> str:
    """Write a text as a block of its lines, where that can be done."""
    lines = text.split("\n")
    if not all(map(str.isprintable, lines)):
        return _text(text)

    begins = "2" if text[0] in " \n" else ""  # else it tells by itself how far it is indented
    ends = "-" if lines[-1] else "" if lines[-2] else "+"  # no line break at its end, one, or more
    shown = lines if lines[-1] else lines[:-1]
    return "\n".join((f"|{begins}{ends}", *(f"{indent}{line}" if line else "" for line in shown)))


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _FLAGS:
        return text

    return f'"{_ESCAPED.sub(_escaped, text)}"'


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    if character in _ESCAPES:
        return f"\\{_ESCAPES[character]}"

    return f"\\x{ord(character):02X}" if character <= "\xff" else f"\\u{ord(character):04X}"


def _number(number: float) -> str:
    written = {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(repr(number), repr(number))
    return written if "." in written else written.replace("e", ".0e")
