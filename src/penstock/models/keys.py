"""Keys of endpoints: from the environment, or a ``.env`` file beside the study file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from penstock._base.extras import load_extra
from penstock.errors import ValidationError

__all__ = ["Keys"]


class Keys:
    """Finds keys by the names of their variables; what is in the environment comes first.

    Args:
        dotenv: The ``.env`` file; there need not be one.
    """

    def __init__(self, dotenv: Path) -> None:
        self._dotenv = dotenv
        self._values: Mapping[str, str | None] | None = None

    def find(self, name: str) -> str:
        """Return the key that a variable holds.

        Raises:
            ValidationError: it is set nowhere, or empty.
        """
        if self._values is None:
            self._values = _read(self._dotenv)

        key = (os.environ.get(name) or self._values.get(name) or "").strip()
        if not key:
            raise ValidationError(
                [f"there is no key: {name} is set neither in the environment nor in {self._dotenv}"]
            )

        return key


def _read(path: Path) -> Mapping[str, str | None]:
    """Read a ``.env`` file; what it holds is taken as it stands there."""
    if not path.exists():
        return {}

    library = load_extra("dotenv", extra="models", what=f"{path}")
    try:
        values: Mapping[str, str | None] = library.dotenv_values(
            path, interpolate=False, encoding="utf-8-sig"
        )
    except (OSError, UnicodeDecodeError) as error:
        # The error of a decoder quotes the bytes that it could not read.
        raise ValidationError([f"{path} cannot be read: {type(error).__name__}"]) from None

    return values
