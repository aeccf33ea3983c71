"""JSON for what agents return: fast where it is plain, faithful or refused where it is not.

orjson writes the common case. It would write NaN and infinities as ``null`` and refuses lone
surrogates, large whole numbers and keys that are not text; for those the standard library takes
over, so that what is read back is what was returned. What a value becomes never depends on which
of the two wrote it: what is not plain JSON goes through `frozen_json` in both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from penstock._base.frozen import FrozenDict, frozen_json
from penstock.errors import OutputError, UnstableValueError

__all__ = ["Parts", "decode", "encode", "encode_parts", "is_plain_json"]

_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_SHORT = 256
_TEXT = {str}
_DIGITS = bytes(ord("0") if chr(byte) in "0123456789" else ord(" ") for byte in range(256))
_LONG_NUMBER = b"0" * 19


def encode(value: Any, path: str = "output") -> str:
    """Write a value as JSON text.

    Args:
        value: Plain values; numpy, dataclasses and pydantic models become plain values.
        path: What the value is called in an error.

    Raises:
        OutputError: a part of the value cannot be stored; it names that part's path.
    """
    return _written(value, path)[0]


class Parts(NamedTuple):
    """What of a mapping can be stored."""

    text: str = "{}"
    """It as JSON."""

    refused: Mapping[Any, OutputError] = FrozenDict()
    """Why each other part cannot be stored."""

    is_plain: bool = False
    """Whether it is known to be what `is_plain_json` says; who must know looks at it else."""


def encode_parts(parts: Mapping[Any, Any], path: str) -> Parts:
    """Write as JSON what of a mapping can be stored.

    Args:
        parts: As for `encode`.
        path: What the mapping is called in an error.
    """
    try:
        text, is_text = _written(parts, path)
        is_plain = is_text and not any("\0" in each for each in parts.values())
        return Parts(text, is_plain=is_plain)
    except OutputError as error:
        whole = error

    refused: dict[Any, OutputError] = {}
    kept: dict[Any, Any] = {}
    for name, value in parts.items():
        try:
            encode({name: value}, path)
        except OutputError as error:
            refused[name] = error
        else:
            kept[name] = value

    if refused:
        return encode_parts(kept, path)._replace(refused=refused)

    return Parts(refused=dict.fromkeys(parts, whole))  # its parts are at odds with each other


def _written(value: Any, path: str) -> tuple[str, bool]:
    """Write a value; return also whether it holds long texts alone, all of them Unicode."""
    try:
        data = orjson.dumps(value, default=frozen_json, option=_OPTIONS)
    except TypeError:
        return _encode_faithfully(value, path), False

    # orjson wrote `null` for None, or for NaN and infinities: only a slow look can tell. Most
    # answers are one long text, in which even to look for the word would take longest of all.
    is_text = len(data) >= _SHORT and _holds_texts_alone(value)
    if not is_text and b"null" in data:
        return _encode_faithfully(value, path), False

    return data.decode(), is_text


def decode(text: str) -> Any:
    """Read what `encode` wrote."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)

    # orjson has rounded whole numbers of more than 64 bits, where it has read any number at all.
    is_rounded = not _holds_texts_alone(value) and _may_hold_long_number(text)
    return json.loads(text) if is_rounded else value


def is_plain_json(text: str) -> bool:
    """Return whether SQLite can look into JSON, and reads what we read.

    It knows no NaN and no infinity, reads no half surrogate pairs, and ends a text at a NUL.
    """
    # A letter is found thirty times as fast as a word, and these three are not in every answer.
    return not (
        ("N" in text and "NaN" in text)
        or ("I" in text and "Infinity" in text)
        or ("\\" in text and _HARD_ESCAPE.search(text) is not None)
    )


_HARD_ESCAPE = re.compile(r"\\u(?:d|0000)")
"""Where line breaks are escaped too, `in` takes ten times as long."""


def _may_hold_long_number(text: str) -> bool:
    """Return whether there are 19 digits in a row; a regular expression takes ten times as long."""
    return _LONG_NUMBER in text.encode(errors="surrogatepass").translate(_DIGITS)


def _holds_texts_alone(value: Any) -> bool:
    return type(value) is dict and set(map(type, value.values())) <= _TEXT


def _encode_faithfully(value: Any, path: str) -> str:
    try:
        frozen = frozen_json(value, path)
    except UnstableValueError as error:
        raise OutputError(error.path, error.reason) from None

    text = json.dumps(frozen, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode()  # lone surrogates alone are escaped
