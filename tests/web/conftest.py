"""The fixture of `tests.command_line`."""

from __future__ import annotations

from tests.command_line import folder

__all__ = ["folder"]
