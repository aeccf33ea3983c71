"""A worker process: ``python -m penstock.engines.dask_process``, told on stdin whom to join.

It ends when its scheduler does, or cannot be reached any more.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from functools import partial
from typing import Any

import anyio
from distributed import Worker

from penstock.engines.dask_cluster import security_of

__all__ = ["main", "work"]


class _QuietWorker(Worker):
    """A worker that opens no port for a dashboard."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Serve nothing over HTTP."""


async def work(told: dict[str, str]) -> None:
    """Join a scheduler, and work until it lets go.

    Args:
        told: What `credentials` gave.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL + 1)
    async with _QuietWorker(
        told["address"],
        security=security_of(told),
        nthreads=1,
        memory_limit=0,
        dashboard=False,
        death_timeout="30s",
    ) as worker:
        await worker.finished()


def main() -> None:
    """Work, and end at once with whatever threads are left."""
    told = json.loads(sys.stdin.buffer.read())
    sys.path[:] = [*dict.fromkeys([*sys.path, *told["path"].split(os.pathsep)])]
    code = 1
    try:
        anyio.run(partial(work, told))
        code = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
