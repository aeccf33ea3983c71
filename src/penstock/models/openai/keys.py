"""Keys of endpoints: from the environment, or a ``.env`` file beside the study file."""

from __future__ import annotations

import os
import re
from pathlib import Path

from penstock.errors import ValidationError

__all__ = ["Keys"]

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*?)\s*")


class Keys:
    """Finds keys by the names of their variables; what is in the environment comes first.

    Args:
        dotenv: The ``.env`` file; there need not be one.
    """

    def __init__(self, dotenv: Path) -> None:
        self._dotenv = dotenv
        self._lines: dict[str, str] | None = None

    def find(self, name: str) -> str:
        """Give the key that a variable holds.

        Raises:
            ValidationError: it is set nowhere, or empty.
        """
        if self._lines is None:
            self._lines = _read(self._dotenv)

        key = (os.environ.get(name) or self._lines.get(name) or "").strip()
        if not key:
            raise ValidationError(
                [f"there is no key: {name} is set neither in the environment nor in {self._dotenv}"]
            )

        return key


def _read(path: Path) -> dict[str, str]:
    """Read lines of ``NAME=value``; quotes around a value, and comments after it, are dropped."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        # The error of a decoder quotes the bytes that it could not read.
        raise ValidationError([f"{path} cannot be read: {type(error).__name__}"]) from None

    found = (_LINE.fullmatch(line) for line in text.splitlines())
    return {match[1]: _value(match[2]) for match in found if match}


def _value(text: str) -> str:
    quoted = re.match(r"""(['"])(.*?)\1(?:\s+#.*)?$""", text)
    return quoted[2] if quoted else re.sub(r"(?:^|\s+)#.*$", "", text)
