"""The worker processes that a driver starts on its own machine, and starts again where they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import anyio

from penstock._base.logger import logged_from, logger
from penstock._base.loop import OwnTask
from penstock._base.threads import call_in_thread
from penstock.errors import EngineError

__all__ = ["CAN_FORK", "WorkerProcesses"]

CAN_FORK = sys.platform == "linux"
"""Elsewhere libraries of the system do not bear it, or there is no such thing."""

_LOOK_S = 0.25
_MOST_FAILURES = 3
_END_S = 5.0
_MANY_A_CORE = 8
_FEWER = (
    "each takes some 40 MB, and a core while it computes: give fewer, and where agents wait for "
    "answers a higher concurrency"
)


class WorkerProcesses:
    """Starts processes, which import what workers need while the driver gets ready itself.

    Where processes can be forked there is one, which imports everything once and forks the workers:
    a worker costs a tenth of the processor time then, and one that ends is replaced at once.

    Args:
        count: How many workers.
    """

    def __init__(self, count: int) -> None:
        cores = os.cpu_count() or 1
        if count > _MANY_A_CORE * cores:
            logger().warning("worker.many", workers=count, cores=cores, what_to_do=_FEWER)

        self._shares = [count] if CAN_FORK else [1] * count
        self._processes = [_start() for _ in self._shares]
        self._count = count
        self._told: Mapping[str, Any] = {}
        self._fail: Callable[[EngineError], None]
        self._watch: OwnTask | None = None
        self._failures = self._lost_loading = 0

    def begin(self, told: Mapping[str, Any], fail: Callable[[EngineError], None]) -> None:
        """Have the workers join, and start others for those that end.

        Args:
            told: What they need to join.
            fail: Told where they end before they have begun.
        """
        self._told, self._fail = told, fail
        for process, share in zip(self._processes, self._shares, strict=True):
            self._tell(process, share)

        self._watch = OwnTask(self._replace(), name="workers")

    def note_joined(self) -> None:
        """Note that a worker has joined: they can."""
        self._failures = self._lost_loading = 0

    def note_lost_loading(self) -> None:
        """Note that one has ended before it could join, and give up after some in a row."""
        self._lost_loading += 1
        if self._lost_loading >= _MOST_FAILURES + self._count:
            said = f"{self._lost_loading} workers in a row ended while they loaded the study"
            self._fail(EngineError(f"{said}; see what they print"))

    async def _replace(self) -> None:
        while True:
            await anyio.sleep(_LOOK_S)
            for place, process in enumerate(self._processes):
                code = process.poll()
                if code is None:
                    continue

                self._failures += 1
                if self._failures >= _MOST_FAILURES:
                    said = f"worker processes end at once (exit code {code}); see what they print"
                    self._fail(EngineError(said))
                    return

                _close_stdin(process)
                self._processes[place] = begun = _start()
                self._tell(begun, self._shares[place])

    def _tell(self, process: subprocess.Popen[bytes], share: int) -> None:
        if process.stdin is not None:  # it stays open: where it ends, so do the workers
            with suppress(OSError):
                told = {**self._told, "workers": share, "log_from": logged_from()}
                process.stdin.write(json.dumps(told).encode() + b"\n")
                process.stdin.flush()

    async def aclose(self) -> None:
        """Have the workers end."""
        if self._watch is not None:
            self._watch.cancel()

        await call_in_thread(self._end)

    def _end(self) -> None:
        for process in self._processes:
            _close_stdin(process)

        for process in self._processes:
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _start() -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C in a terminal is for the driver, who tells its workers.
    return subprocess.Popen(
        [sys.executable, "-m", "penstock.engines.dask_process"],
        stdin=subprocess.PIPE,
        stdout=_stderr(),
        start_new_session=True,
    )


def _stderr() -> int | None:
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # it is none, or a notebook's, or closed
        return None


def _close_stdin(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
