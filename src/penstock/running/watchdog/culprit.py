"""Whose code a thread is running, out of the frames of its stack."""

from __future__ import annotations

import os
import sysconfig
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

__all__ = ["culprit_of", "frames_above"]

_PACKAGES = ("site-packages", "dist-packages")
_OURS = f"{Path(__file__).parents[2]}{os.sep}"
_STDLIB = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})
_MACHINERY = frozenset({"anyio", "sniffio", "uvloop"})
"""Packages by which tasks are run: under everything, and never to blame for it."""


def frames_above(depth: int, frame: FrameType | None) -> list[FrameType]:
    """List the frames of a stack from the outermost in, without its first so many.

    Args:
        depth: How many frames are left out: those of whoever runs the event loop.
        frame: The innermost frame.
    """
    frames = []
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back

    frames.reverse()
    return frames[depth:]


def culprit_of(frames: Sequence[FrameType]) -> tuple[str, str]:
    """Name the function that is to blame for what a stack does, and write the stack.

    That is the innermost function of the study's or the host's own code; where there is none,
    that of a package; and else the innermost of all.

    Args:
        frames: From the outermost in; at least one.
    """
    ranked = min(reversed(frames), key=_distance)  # the first of equals is the innermost
    code = ranked.f_code
    module = ranked.f_globals.get("__name__", "?")
    name = f"{module}:{code.co_qualname} ({code.co_filename}:{ranked.f_lineno})"
    stack = traceback.StackSummary.extract((frame, frame.f_lineno) for frame in frames)
    return name, "".join(stack.format())


def _distance(frame: FrameType) -> int:
    path = frame.f_code.co_filename
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    if path.startswith((_OURS, "<frozen ")) or package in _MACHINERY:
        return 2

    if any(part in _PACKAGES for part in Path(path).parts):
        return 1

    return 2 if path.startswith(_STDLIB) else 0
