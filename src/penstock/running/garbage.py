"""The garbage collector, in a process that is there to run a study."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collecting_seldom"]

_NEW_OBJECTS = 20_000
"""After so many it looks at what is new; Python's own number is 700."""


@contextmanager
def collecting_seldom() -> Iterator[None]:
    """Let the garbage collector look less often, and not at what was there before.

    What a run holds is freed without it. A thousand runs in flight hold tens of thousands of
    objects, which it would go through again and again, and every full collection would stop the
    event loop for as long as it takes to go through all modules that are imported.

    It is the whole process's, so this is for a process that runs a study and little else. Where
    its owner has frozen objects or switched it off, it is left alone.
    """
    if gc.get_freeze_count() or not gc.isenabled():
        yield
        return

    thresholds = gc.get_threshold()
    gc.collect()  # what is garbage now would be kept
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
