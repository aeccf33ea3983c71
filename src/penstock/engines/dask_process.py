"""Worker processes: ``python -m penstock.engines.dask_process``, told on stdin whom to join.

It imports what workers need before it is told. Then it works, or forks those that do, and starts
another where one ends. All end when stdin does, for then their driver has, whatever agents do.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import signal
import sys
import warnings
from contextlib import suppress
from functools import partial
from io import TextIOWrapper
from math import inf
from pathlib import Path
from threading import Thread
from typing import Any, Never

import anyio
import dask
import numpy as np
from distributed import Worker

from penstock._base.logger import log_from, logger
from penstock.engines.dask_cluster import NoDashboard, security_of, silence
from penstock.engines.dask_worker import HostsAgents
from penstock.engines.leave_signals import AskedToLeave, asked_to_leave
from penstock.engines.ranks import read_word
from penstock.engines.worker_processes import CAN_FORK
from penstock.errors import EngineError
from penstock.running.interrupts import stopping_signals

__all__ = ["begin_anew", "leave", "main", "work_when_told"]

_REACHED_WITHIN_S = 30.0
_TOLD_WITHIN_S = 300.0
_ANSWERS_WITHIN_S = 5.0
_LOOK_S = 0.2
_CANNOT_BEGIN = 71
"""The exit code of a worker that has not reached its scheduler."""

_MOST_FAILURES = 3
_IF_MEMORY_IS_SHORT = (
    "the system ends what takes the most memory where that is short: see its log, and give fewer "
    "workers or a lower concurrency"
)
_PR_SET_PDEATHSIG = 1


class _QuietWorker(NoDashboard, Worker):
    pass


async def work(told: dict[str, str]) -> None:
    """Join a scheduler, and work until it lets go.

    Args:
        told: What `OwnCluster.credentials` gave.

    Raises:
        OSError, TimeoutError: it cannot be reached.
    """
    silence()
    dask.config.set(
        {"distributed.worker.profile.enabled": False}
    )  # of Dask's tasks; there are none
    with asked_to_leave() as asked:
        async with (
            _QuietWorker(
                told["address"],
                host=told["host"] or None,
                security=security_of(told["certificate"], told["key"]),
                nthreads=1,
                memory_limit=0,
                dashboard=False,
                death_timeout=_REACHED_WITHIN_S,
            ) as worker,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(_leave_when_asked, worker, asked)
            await worker.finished()
            tasks.cancel_scope.cancel()


async def _leave_when_asked(worker: Any, asked: AskedToLeave) -> None:
    await asked.event.wait()
    hosts = worker.plugins.get(HostsAgents.name)
    if hosts is not None:
        await hosts.drain()

    await worker.close()


async def work_when_told(file: Path) -> bool:
    """Work for the first process of a job, once it has left word where it is.

    Returns:
        Whether it has taken its word back: else it was killed, and another may come in its place.

    Args:
        file: Where it does. What one has left that was killed leads nowhere, and is read again.

    Raises:
        EngineError: nobody has left word for five minutes.
    """
    with anyio.move_on_after(_TOLD_WITHIN_S) as patience:
        while True:
            told = read_word(file)
            if told is not None and await _listens(told["address"]):
                with suppress(OSError, TimeoutError):
                    patience.deadline = inf
                    await work(told)
                    return read_word(file) != told

                patience.deadline = anyio.current_time() + _TOLD_WITHIN_S

            await anyio.sleep(_LOOK_S)

    raise EngineError(
        f"the first process of the job has not left word in {file} for {_TOLD_WITHIN_S:g} s; see "
        "what it prints, and whether both see the same folder"
    )


async def _listens(address: str) -> bool:
    """Return whether anybody listens there: the word of a job that was killed leads nowhere."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        with anyio.fail_after(_ANSWERS_WITHIN_S):
            await (await anyio.connect_tcp(host, int(port))).aclose()
    except (OSError, TimeoutError):
        return False

    return True


def leave(code: int) -> Never:
    """End the process at once, with whatever threads of agents are left."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def begin_anew() -> Never:
    """Run the command of this process again in its place: nothing that agents did is left."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - no shell is meant


def main() -> None:
    """Work for the process that has started this one, and end when it does."""
    driver = os.dup(0)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # an agent that reads it finds nothing to wait for
    _print_at_once()
    told = json.loads(_line_of(driver))
    sys.path[:] = [*dict.fromkeys([*sys.path, *told["path"].split(os.pathsep)])]
    log_from(told["log_from"])
    if CAN_FORK:
        _have_workers(told, driver)
    else:
        _work_while(told, driver)


def _print_at_once() -> None:
    """Let what agents print be seen at once, also in a file, and of a worker that is killed."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)


def _line_of(file: int) -> bytes:
    line = b""
    while not line.endswith(b"\n") and (read := os.read(file, 65536)):
        line += read

    return line


def _have_workers(told: dict[str, Any], driver: int) -> Never:
    """Fork workers, and another for each that ends, until none can begin."""
    Thread(target=_end_with, args=(driver,), name="penstock-driver", daemon=True).start()
    gc.freeze()  # what is imported is shared by all workers, and stays so
    failures = 0
    for _ in range(told["workers"]):
        _fork(told, driver)

    while failures < _MOST_FAILURES:
        process, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
        failures = failures + 1 if code == _CANNOT_BEGIN else 0
        _say_how_it_ended(process, code)
        _fork(told, driver)

    leave(1)


def _say_how_it_ended(process: int, code: int) -> None:
    """Say how a worker ended that nobody has told to; its driver only hears that it is gone."""
    if code in {0, _CANNOT_BEGIN} or -code in {*stopping_signals()}:
        return

    how = f"exit code {code}" if code > 0 else signal.Signals(-code).name
    said = {"process": process, "how": how}
    if code == -signal.SIGKILL:
        said["what_to_do"] = _IF_MEMORY_IS_SHORT

    logger().warning("worker.process_ended", **said)


def _fork(told: dict[str, Any], driver: int) -> None:
    parent = os.getpid()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # one thread only waits, numpy's bear it
        is_worker = os.fork() == 0

    if is_worker:
        os.setsid()  # an agent that signals its group ends nobody else
        _end_with_process(parent)
        np.random.seed()  # else all would draw alike; Python's own does it by itself
        _work_while(told, driver)


def _end_with_process(parent: int) -> None:
    """Have the system end this process with another: an agent may let no thread do it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _work_while(told: dict[str, Any], driver: int) -> Never:
    """Work, and end with whoever is at the other end of a pipe."""
    Thread(target=_end_with, args=(driver,), name="penstock-driver", daemon=True).start()
    code = _CANNOT_BEGIN
    try:
        anyio.run(partial(work, told))
        code = 0
    finally:
        leave(code)


def _end_with(driver: int) -> None:
    select.select((driver,), (), ())
    os._exit(0)


if __name__ == "__main__":
    main()
