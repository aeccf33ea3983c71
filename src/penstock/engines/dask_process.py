"""A worker process: ``python -m penstock.engines.dask_process``, told on stdin whom to join.

It ends when its stdin does, for then its driver has, and when its scheduler lets it go.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from functools import partial
from math import inf
from pathlib import Path
from threading import Thread
from typing import Never

import anyio
from distributed import Worker

from penstock.engines.dask_cluster import NoDashboard, security_of, silence
from penstock.engines.ranks import read_word
from penstock.errors import EngineError

__all__ = ["leave", "main", "work_when_told"]

_REACHED_WITHIN_S = 30.0
_TOLD_WITHIN_S = 300.0
_LOOK_S = 0.2


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
    async with _QuietWorker(
        told["address"],
        security=security_of(told),
        nthreads=1,
        memory_limit=0,
        dashboard=False,
        death_timeout=_REACHED_WITHIN_S,
    ) as worker:
        await worker.finished()


async def work_when_told(file: Path) -> None:
    """Work for the first process of a job, once it has left word where it is.

    Args:
        file: Where it does. What one has left that was killed leads nowhere, and is read again.

    Raises:
        EngineError: nobody has left word for five minutes.
    """
    with anyio.move_on_after(_TOLD_WITHIN_S) as patience:
        while True:
            told = read_word(file)
            if told is not None:
                with suppress(OSError, TimeoutError):
                    patience.deadline = inf
                    await work(told)
                    return

                patience.deadline = anyio.current_time() + _TOLD_WITHIN_S

            await anyio.sleep(_LOOK_S)

    raise EngineError(
        f"the first process of the job has not left word in {file} for {_TOLD_WITHIN_S:g} s; see "
        "what it prints, and whether both see the same folder"
    )


def leave(code: int) -> Never:
    """End the process at once, with whatever threads of agents are left."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Work for the process that has started this one, and end when it does."""
    told = json.loads(sys.stdin.buffer.readline())
    Thread(target=_end_with_stdin, name="penstock-driver", daemon=True).start()
    sys.path[:] = [*dict.fromkeys([*sys.path, *told["path"].split(os.pathsep)])]
    code = 1
    try:
        anyio.run(partial(work, told))
        code = 0
    finally:
        leave(code)


if __name__ == "__main__":
    main()
