"""The fixtures of `tests.command_line`."""

from __future__ import annotations

from tests.command_line import cli, folder

__all__ = ["cli", "folder"]
