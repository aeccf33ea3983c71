"""What a process holds, sampled while it works, and whether any of it grows."""

from __future__ import annotations

import asyncio  # noqa: TID251 - counts its tasks
import gc
import linecache
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import NamedTuple

import numpy as np

__all__ = ["Sample", "growth", "held", "sample"]

_THREADS_END_S = 10.0
"""How long a thread of ours that has nothing to do may take to end by itself; it needs a second."""


class Sample(NamedTuple):
    """What the process holds at a moment, and how many runs it has behind it.

    ``blocks`` are the pieces of memory that hold Python's objects, every small one a piece.
    """

    at_s: float
    runs: int
    memory_mb: float
    blocks: int
    files: int
    threads: int
    tasks: int


def sample(runs: int) -> Sample:
    """Count what this process holds; in its event loop."""
    status = Path("/proc/self/status").read_text()
    (resident,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return Sample(
        at_s=monotonic(),
        runs=runs,
        memory_mb=int(resident.split()[1]) / 1024,
        tasks=len(asyncio.all_tasks()),
        **_counts(),
    )


def held() -> dict[str, int]:
    """Count what this process holds that somebody refers to; no event loop need run."""
    for thread in threading.enumerate():
        if thread.name.startswith("penstock"):
            thread.join(_THREADS_END_S)

    linecache.clearcache()  # source lines that tracebacks have shown, once for each file
    gc.collect()
    return _counts()


def _counts() -> dict[str, int]:
    return {
        "blocks": sys.getallocatedblocks(),
        "files": len([*Path("/proc/self/fd").iterdir()]) - 1,  # one reads this list
        "threads": threading.active_count(),
    }


def growth(samples: Sequence[Sample]) -> dict[str, float]:
    """Give, over the second half, when all is warm, the mean of each quantity and its growth.

    The growth is the slope by least squares for each run: what is kept of every run shows in it,
    however much comes and goes meanwhile. A block is at least 16 bytes.
    """
    half = samples[len(samples) // 2 :]
    runs = [each.runs for each in half]
    found: dict[str, float] = {"runs_of_slope": runs[-1] - runs[0]}
    for name in ("memory_mb", "blocks", "files", "threads", "tasks"):
        values = [getattr(each, name) for each in half]
        slope = float(np.polyfit(runs, values, 1)[0])
        found[name] = round(float(np.mean(values)), 1)
        if name == "memory_mb":
            found["memory_bytes_per_run"] = round(slope * 2**20, 2)
        else:
            found[f"{name}_per_run"] = round(slope, 6)

    return found
