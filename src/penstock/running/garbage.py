"""The garbage collector, in a process that is there to run a study."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["NEW_OBJECTS", "relaxed_gc"]

NEW_OBJECTS = 50_000
"""How many new objects start a collection; Python's own threshold is 700.

A thousand runs that begin together are some 20,000, and none of them is garbage.
"""


@contextmanager
def relaxed_gc() -> Iterator[None]:
    """Run the garbage collector less often, and not over objects that existed before.

    What a run holds is freed by reference counting. A thousand runs in flight hold tens of
    thousands of objects, which the collector would scan again and again, and every full collection
    would stop the event loop while it scans all imported modules.

    The collector belongs to the process, so this is for a process that runs a study and little
    else. Where the process has frozen objects or disabled the collector, nothing changes.
    """
    if gc.get_freeze_count() or not gc.isenabled():
        yield
        return

    thresholds = gc.get_threshold()
    gc.collect()  # what is garbage now would be kept
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
