"""Agents for worker processes, which import them from here."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np

import penstock as ps
from penstock.agents import RunOutput, in_worker_process
from penstock.planning.plan import RunSpec


@in_worker_process
def drawing(seed: int, condition: ps.Condition, brief: str, request_id: str) -> dict[str, Any]:
    return {
        "draws": [random.random(), float(np.random.random())],
        "seed": seed,
        "tone": condition["tone"],
        "brief": brief,
        "request_id": request_id,
        "process": os.getpid(),
    }


@in_worker_process
def asking_for_anything(**given: Any) -> list[str]:
    return sorted(given)


@in_worker_process
def raising(seed: int) -> None:
    raise LookupError(f"no {seed}")


@in_worker_process
def dying(seed: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@in_worker_process
def hanging(prompt: str) -> None:
    """Say which process hangs, in the pipe that the prompt names, and hang."""
    Path(prompt).write_text(str(os.getpid()))
    time.sleep(600)


def plain(seed: int) -> float:
    return random.random()


class Kept:
    @staticmethod
    def inside(seed: int) -> float:
        return random.random()


@in_worker_process
def outputs(run_spec: RunSpec, condition: ps.Condition) -> RunOutput:
    return RunOutput(outputs={"variant": condition["variant"], "seed": run_spec.seed})
