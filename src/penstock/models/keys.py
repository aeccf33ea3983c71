"""Keys of endpoints: from the environment, a ``.env`` file, a file of their own, or a command.

What expires comes from a file or a command: it is read again where the endpoint refuses the key.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import CalledProcessError
from typing import Protocol

import anyio

from penstock._base.extras import load_extra
from penstock.errors import ValidationError
from penstock.models.model_errors import AuthenticationError

__all__ = ["CommandKey", "FileKey", "KeySource", "Keys"]

_COMMAND_S = 60.0
"""How long a command that prints a key may take."""


class KeySource(Protocol):
    """Where a key that expires comes from; its ``place`` is named in errors."""

    place: str

    async def read(self) -> str:
        """Return the key as it is now.

        Raises:
            AuthenticationError: there is none.
        """
        ...


class FileKey:
    """A key in a file that something else keeps up to date."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = f"the file {path}"

    async def read(self) -> str:
        """Return the content of the file."""
        try:
            key = (await anyio.Path(self.path).read_text(encoding="utf-8-sig")).strip()
        except (OSError, UnicodeDecodeError) as error:
            # The error of a decoder quotes the bytes that it could not read.
            raise AuthenticationError(f"{self.place}: {type(error).__name__}") from None

        return _some(key, self.place)


class CommandKey:
    """A key that a command prints, such as a cloud's command line."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)
        self.place = f"the command {self._command[0]!r}"

    async def read(self) -> str:
        """Return what the command prints; nothing of it is shown in an error."""
        try:
            with anyio.fail_after(_COMMAND_S):
                done = await anyio.run_process(self._command)
        except TimeoutError:
            raise AuthenticationError(f"{self.place} did not end in {_COMMAND_S:g} s") from None
        except CalledProcessError as error:
            said = f"{self.place} failed with exit code {error.returncode}"
            raise AuthenticationError(said) from None
        except OSError as error:
            raise AuthenticationError(f"{self.place} cannot be run: {error.strerror}") from None

        return _some(done.stdout.decode("utf-8", "replace").strip(), self.place)


class Keys:
    """Finds what ``${NAME}`` and ``api_key_env`` name; the environment comes first.

    Args:
        dotenv: The ``.env`` file; there need not be one.
    """

    def __init__(self, dotenv: Path) -> None:
        self._dotenv = dotenv
        self._values: Mapping[str, str | None] | None = None

    def find(self, name: str, what: str = "key") -> str:
        """Return what a variable holds.

        Args:
            name: The variable.
            what: What it should hold, for the error.

        Raises:
            ValidationError: it is set nowhere, or empty.
        """
        if self._values is None:
            self._values = _read(self._dotenv)

        value = (os.environ.get(name) or self._values.get(name) or "").strip()
        if not value:
            said = f"{name} is set neither in the environment nor in {self._dotenv}"
            raise ValidationError([f"there is no {what}: {said}"])

        return value


def _some(key: str, place: str) -> str:
    if not key:
        raise AuthenticationError(f"{place} gives no key: it is empty")

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
