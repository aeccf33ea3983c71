"""A scheduler of Dask that is made for one study, in this process, and what its workers need."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from typing import Any, Self

from distributed import Scheduler, Security

from penstock.errors import EngineError

__all__ = ["NoDashboard", "OwnCluster", "find_cluster", "security_of", "silence"]

_Security: Any = Security  # it has no types of its own
_LOGGER = logging.getLogger("distributed")
_SILENT = logging.CRITICAL + 1
"""Its own log says, at every end, that connections break: the study's says what it means."""


class NoDashboard:
    """Opens no port for a dashboard: mixed into a node of Dask."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Serve nothing over HTTP."""


class _QuietScheduler(NoDashboard, Scheduler):
    pass


class OwnCluster:
    """A scheduler of this process, which speaks TLS alone.

    Attributes:
        address: Where workers find it.
        security: Its certificate, made for this study, which workers need too.
    """

    def __init__(self, scheduler: Any, security: Any, host: str | None, log_level: int) -> None:
        self.address: str = scheduler.address
        self._host = host
        self.security = security
        self._scheduler = scheduler
        self._log_level = log_level

    @classmethod
    async def make(cls, host: str | None) -> Self:
        """Start a scheduler.

        Args:
            host: The address that it listens on, and its workers too; None for all, so that other
                machines reach it.

        Raises:
            EngineError: it cannot be started.
        """
        level = silence()
        try:
            from penstock.engines.certificate import (  # noqa: PLC0415 - workers make none
                new_certificate,
            )

            security = security_of(*new_certificate())
            scheduler = await _QuietScheduler(
                host=host, port=0, protocol="tls", security=security, dashboard=False
            )
        except (ImportError, OSError, RuntimeError) as error:
            _LOGGER.setLevel(level)
            raise EngineError(f"a scheduler cannot be started: {error}") from error

        return cls(scheduler, security, host, level)

    def credentials(self) -> dict[str, str]:
        """Return what a worker needs to join: for nobody else's eyes."""
        return {
            "address": self.address,
            "host": self._host or "",
            "certificate": self.security.tls_ca_file,
            "key": self.security.tls_scheduler_key,
            "path": os.pathsep.join(sys.path),
        }

    async def aclose(self) -> None:
        """End the scheduler: its workers are let go."""
        with suppress(OSError, TimeoutError):
            await self._scheduler.close()

        _LOGGER.setLevel(self._log_level)


async def find_cluster(given: Any, host: str | None) -> tuple[str, Any, OwnCluster | None]:
    """Return where a scheduler is, what is spoken with it, and the one that is made if none is.

    Args:
        given: Its address, or a client of it; None where one is to be made.
        host: The address that it listens on then; None for all.

    Raises:
        EngineError: it cannot be started.
    """
    if given is None:
        own = await OwnCluster.make(host)
        return own.address, own.security, own

    if isinstance(given, str):
        return given, _Security(require_encryption=True), None

    return given.scheduler.address, given.security, None


def silence() -> int:
    """Leave out what Dask logs; return the level that it logged from."""
    level = _LOGGER.level
    _LOGGER.setLevel(_SILENT)
    return level


def security_of(certificate: str, key: str) -> Any:
    """Return what each process of a cluster that is made for a study speaks TLS with."""
    roles = {
        f"tls_{role}_{part}": value
        for role in ("scheduler", "worker", "client")
        for part, value in (("cert", certificate), ("key", key))
    }
    return _Security(require_encryption=True, tls_ca_file=certificate, **roles)
