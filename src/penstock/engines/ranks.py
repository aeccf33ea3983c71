"""The processes of one job that each run the same command: the first drives, the others work.

A launcher (``srun``, ``mpirun``, ``torchrun``, an indexed job of Kubernetes) tells each its rank in
the environment. The first one leaves where it can be reached, and the certificate of the job, in a
file that all of them see and nobody else may read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from penstock._base.atomic_files import write_private

__all__ = ["FILE", "leave_word", "others_in", "rank_in", "read_word", "take_word_back"]

FILE = ".workers.json"
"""Where the first process leaves word, in the output directory."""

_VARIABLES = {
    "SLURM_PROCID": "SLURM_STEP_NUM_TASKS",
    "OMPI_COMM_WORLD_RANK": "OMPI_COMM_WORLD_SIZE",
    "RANK": "WORLD_SIZE",
    "JOB_COMPLETION_INDEX": "",
}
"""Which process it is, and of how many where a launcher tells that."""


def rank_in(environment: Mapping[str, str]) -> int | None:
    """Return which process of a job this is, from 0; None where it is part of none."""
    for name in _VARIABLES:
        if environment.get(name, "").isdecimal():
            return int(environment[name])

    return None


def others_in(environment: Mapping[str, str]) -> int:
    """Return how many other processes this one's job has; 0 where nobody tells."""
    for name, size in _VARIABLES.items():
        if environment.get(name, "").isdecimal():
            told = environment.get(size, "")
            return max(0, int(told) - 1) if told.isdecimal() else 0

    return 0


def leave_word(file: Path, told: Mapping[str, str]) -> None:
    """Write what workers need to join, for nobody else's eyes."""
    aside = file.with_name(f"{file.name}.new")
    aside.unlink(missing_ok=True)
    write_private(aside, json.dumps(dict(told)).encode())
    aside.replace(file)


def read_word(file: Path) -> dict[str, str] | None:
    """Read what workers need to join; None where nobody has left word yet."""
    try:
        told: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None

    return told


def take_word_back(file: Path) -> None:
    """Delete the file: nobody is to join any more."""
    with suppress(OSError):
        file.unlink()
