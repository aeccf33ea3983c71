"""What Dask draws at random in a worker, apart from what agents draw.

It draws in its own thread at any time, as to guess how large a message is. A step of an agent may
be under way then, with the global generators as those of its run: it would draw other numbers.
"""

from __future__ import annotations

import random
import sys
from types import BuiltinMethodType, MethodType
from typing import Any

__all__ = ["draw_apart"]

_PACKAGES = {"dask", "distributed", "tornado"}


def draw_apart() -> None:
    """Let what is imported of Dask draw from a generator of its own."""
    own = random.Random()  # noqa: S311 - nothing is kept secret with it
    ours: Any = random._inst  # noqa: SLF001 - it has no public name
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in _PACKAGES:
            for key, value in list(vars(module).items()):
                if value is random:
                    setattr(module, key, own)
                elif isinstance(value, MethodType | BuiltinMethodType) and value.__self__ is ours:
                    setattr(module, key, getattr(own, value.__name__))
