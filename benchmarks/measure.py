"""How the benchmarks measure.

The machines that they run on are noisy. So hardly a figure is a time by the clock: it is CPU time
of this process with all its threads, or memory, or the ratio of two that were measured in turns in
one process.
"""

from __future__ import annotations

import gc
import json
import resource
import subprocess
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, TypeVar

__all__ = ["cpu_us", "in_child", "in_turns", "modules_set_aside", "peak_mb", "ratio", "resident_kb"]


@contextmanager
def modules_set_aside() -> Iterator[None]:
    """Keep what penstock has imported out of the garbage collections of work by hand.

    Without penstock none of it would be there, and a full collection looks at every object.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


Contender = TypeVar("Contender", bound=Hashable)


def cpu_us(measured: Callable[[], object], each: int) -> float:
    """Give the CPU time of a call in microseconds, divided by how many things it does."""
    gc.collect()
    begun = process_time()
    measured()
    return (process_time() - begun) / each * 1e6


def in_turns(
    contenders: Iterable[Contender], measure: Callable[[Contender], float], rounds: int
) -> dict[Contender, list[float]]:
    """Measure each of these in turn, again and again: A B A B, so that noise meets all alike."""
    measured: dict[Contender, list[float]] = {contender: [] for contender in contenders}
    for _ in range(rounds):
        for contender, values in measured.items():
            values.append(measure(contender))

    return measured


def ratio(
    measured: Mapping[Contender, Sequence[float]], contender: Contender, baseline: Contender
) -> float:
    """Give how much one contender takes beside another: the median of what each round gives."""
    pairs = zip(measured[contender], measured[baseline], strict=True)
    return median(value / base for value, base in pairs)


def in_child(file: str, *arguments: object) -> Any:
    """Run a benchmark in a process of its own, and give what the last line it prints says."""
    command = [sys.executable, file, *map(str, arguments)]
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(finished.stdout.splitlines()[-1])


def resident_kb() -> int:
    """Give the memory that this process holds now."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def peak_mb() -> float:
    """Give the most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
