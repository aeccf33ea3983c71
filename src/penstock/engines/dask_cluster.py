"""A cluster of Dask that is made for one study: a scheduler in this process, and workers."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

import anyio
from distributed import Scheduler, Security

from penstock._base.loop import OwnTask
from penstock._base.threads import call_in_thread
from penstock.errors import EngineError

__all__ = ["NoDashboard", "OwnCluster", "security_of", "silence"]

_Security: Any = Security  # it has no types of its own
_LOGGER = logging.getLogger("distributed")
_SILENT = logging.CRITICAL + 1
"""Its own log says, at every end, that connections break: the study's says what it means."""

_LOOK_S = 0.25
_MOST_FAILURES = 3
_END_S = 5.0


class NoDashboard:
    """Opens no port for a dashboard: mixed into a node of Dask."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Serve nothing over HTTP."""


class _QuietScheduler(NoDashboard, Scheduler):
    pass


class OwnCluster:
    """A scheduler of this process, which speaks TLS alone, and the workers that are started.

    Attributes:
        address: Where workers find it.
        security: Its certificate, made for this study, which workers need too.
    """

    def __init__(self, scheduler: Any, security: Any, log_level: int) -> None:
        self.address: str = scheduler.address
        self.security = security
        self._scheduler = scheduler
        self._processes: list[subprocess.Popen[bytes]] = []
        self._watch: OwnTask | None = None
        self._log_level = log_level

    @classmethod
    async def make(cls, host: str | None) -> Self:
        """Start a scheduler.

        Args:
            host: The address that it listens on; None for all, so that other machines reach it.

        Raises:
            EngineError: it cannot be started.
        """
        level = silence()
        try:
            security = _Security.temporary()
            scheduler = await _QuietScheduler(
                host=host, port=0, protocol="tls", security=security, dashboard=False
            )
        except (ImportError, OSError, RuntimeError) as error:
            _LOGGER.setLevel(level)
            raise EngineError(f"a scheduler cannot be started: {error}") from error

        return cls(scheduler, security, level)

    def credentials(self) -> dict[str, str]:
        """Return what a worker needs to join: for nobody else's eyes."""
        return {
            "address": self.address,
            "certificate": self.security.tls_ca_file,
            "key": self.security.tls_scheduler_key,
            "path": os.pathsep.join(sys.path),
        }

    def start_workers(self, count: int, tell: Callable[[EngineError], None]) -> None:
        """Start worker processes, and start another for each that ends.

        Args:
            count: How many.
            tell: Told where they end before they have begun.
        """
        self._processes = [self._start_worker() for _ in range(count)]
        self._watch = OwnTask(self._replace(tell), name="workers")

    async def _replace(self, tell: Callable[[EngineError], None]) -> None:
        failures = 0
        while True:
            await anyio.sleep(_LOOK_S)
            for place, process in enumerate(self._processes):
                code = process.poll()
                if code is None:
                    continue

                failures = failures + 1 if code > 0 else 0
                if failures >= _MOST_FAILURES:
                    said = f"worker processes end at once (exit code {code}); see what they print"
                    tell(EngineError(said))
                    return

                if process.stdin is not None:
                    process.stdin.close()

                self._processes[place] = self._start_worker()

    def _start_worker(self) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C in a terminal is for the driver, who tells its workers.
        process = subprocess.Popen(
            [sys.executable, "-m", "penstock.engines.dask_process"],
            stdin=subprocess.PIPE,
            stdout=sys.stderr.fileno() if hasattr(sys.stderr, "fileno") else None,
            start_new_session=True,
        )
        if process.stdin is not None:  # it stays open: where it ends, so does the worker
            with suppress(OSError):
                process.stdin.write(json.dumps(self.credentials()).encode() + b"\n")
                process.stdin.flush()

        return process

    async def aclose(self) -> None:
        """End the scheduler, and the workers with it."""
        if self._watch is not None:
            self._watch.cancel()

        with suppress(OSError, TimeoutError):
            await self._scheduler.close()

        await call_in_thread(self._wait_for_processes)
        _LOGGER.setLevel(self._log_level)

    def _wait_for_processes(self) -> None:
        for process in self._processes:
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()

            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def silence() -> int:
    """Leave out what Dask logs; return the level that it logged from."""
    level = _LOGGER.level
    _LOGGER.setLevel(_SILENT)
    return level


def security_of(told: dict[str, str]) -> Any:
    """Return what a worker speaks TLS with."""
    certificate, key = told["certificate"], told["key"]
    return _Security(
        require_encryption=True,
        tls_ca_file=certificate,
        tls_worker_cert=certificate,
        tls_worker_key=key,
        tls_client_cert=certificate,
        tls_client_key=key,
    )
