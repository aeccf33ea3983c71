"""Writing plain values as YAML, for people and for every reader of YAML.

A study of ten thousand conditions has a study file of fifty thousand lines. A general writer of
YAML asks many questions of every character; plain values raise few of them, and are written in
less than a tenth of the time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
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
    return "".join(f"{line}\n" for line in _lines(value))


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, held in value.items():
            yield from _entry(key, held)
    elif isinstance(value, list) and value:
        for held in value:
            first, *others = _lines(held)
            yield f"- {first}"
            yield from map(_indented, others)
    elif isinstance(value, str):
        yield from _text_lines(value)
    elif isinstance(value, float):
        yield _number(value)
    else:
        yield json.dumps(value)


def _entry(key: str, held: Any) -> Iterator[str]:
    named = f"{_text(key)}:"
    if len(key) > _LONGEST_KEY:
        yield f"? {_text(key)}"
        named = ":"

    lines = _lines(held)
    if isinstance(held, dict) and held:
        yield named
        yield from map(_indented, lines)
    elif isinstance(held, list) and held:  # its dashes are indentation enough
        yield named
        yield from lines
    else:
        yield f"{named} {next(lines)}"
        yield from map(_indented, lines)


def _indented(line: str) -> str:
    return f"  {line}" if line else ""


def _text_lines(text: str) -> Iterator[str]:
    """Give a text on one line, or as a block of its lines where it has several."""
    lines = text.split("\n")
    if len(lines) == 1 or not all(map(str.isprintable, lines)):
        yield _text(text)
        return

    begins = "2" if text[0] in " \n" else ""  # else it tells by itself how far it is indented
    ends = "-" if lines[-1] else "" if lines[-2] else "+"  # no line break at its end, one, or more
    yield f"|{begins}{ends}"
    yield from lines if lines[-1] else lines[:-1]


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
