"""``penstock run --engine dask``: a cluster that exists, or the other processes of a job."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import typer

from penstock.engines.dask import DaskEngine
from penstock.engines.ranks import FILE, rank_in

if TYPE_CHECKING:
    from penstock.engines.engine import Engine

__all__ = ["engine_at"]


def engine_at(address: str | None, output_dir: Path) -> Engine:
    """Return the engine of a run; where this is a worker of the job, work, and do not return.

    Args:
        address: The scheduler of a cluster that exists.
        output_dir: Where the processes of a job find each other.

    Raises:
        ValidationError: the extra is not installed, or the address is not one of TLS.
        typer.BadParameter: there is no address, and this is not a process of a job.
        EngineError: the first process of the job is not found.
    """
    if address is not None:
        return DaskEngine(address)

    rank = rank_in(os.environ)
    if rank is None:
        raise typer.BadParameter(
            "--engine dask needs --address tls://..., or a launcher such as srun that starts this "
            "command as several processes; on one machine say --workers N"
        )

    file = output_dir / FILE
    if rank:
        from penstock.engines.dask_process import leave, work_when_told

        anyio.run(partial(work_when_told, file))
        leave(0)

    return DaskEngine(rendezvous=file)
