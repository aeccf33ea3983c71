"""Halves of surrogate pairs, which models emit and SQLite, which keeps UTF-8 only, cannot hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from penstock.encoding import decode, encode

__all__ = ["readable", "readable_json", "without_surrogates"]


def without_surrogates(values: Sequence[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    r"""Write lone surrogates, which are not Unicode text, as ``\udXXX``."""
    for row in values:
        yield tuple(map(_written_out, row))


def readable(text: str) -> str:
    r"""Write out the half surrogate pairs of a text, as ``\udXXX``."""
    return text.encode("utf-8", "backslashreplace").decode()


def readable_json(json_text: str) -> str:
    """Write out the half surrogate pairs in JSON, which SQL could not read."""
    return encode(_written_out(decode(json_text))) if "\\ud" in json_text else json_text


def _written_out(value: Any) -> Any:
    if isinstance(value, str):
        return readable(value)

    if isinstance(value, dict):
        return {_written_out(key): _written_out(item) for key, item in value.items()}

    return [_written_out(item) for item in value] if isinstance(value, list) else value
