"""What was asked for on the command line, and the runner that it asks for."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

import anyio
import typer

from penstock._base.extras import load_extra
from penstock.cli.target import Target
from penstock.options import RunnerOptions
from penstock.planning.selection import Selection
from penstock.run import runner_of_own_process
from penstock.runner import StudyRunner

if TYPE_CHECKING:
    from penstock.engines.engine import Engine

__all__ = ["RunRequest", "engine_at", "runner_of"]


class RunRequest(NamedTuple):
    """What was asked for on the command line; see ``penstock run --help``."""

    output_dir: Path | None
    only: Selection
    concurrency: int | Literal["auto"] | None
    max_failures: int | None
    show_progress: bool
    json: bool
    verbose: bool
    timeout_s: float | None = None
    retries: int | None = None
    fail_fast: bool = False
    stop_alike: int | None = None
    fresh: bool = False
    rescore: bool = False
    retry_failed: bool = False
    report: bool | None = None
    control: bool | None = None
    page: bool = False
    workers: int | None = None
    engine: Literal["dask"] | None = None
    address: str | None = None


def runner_of(target: Target, request: RunRequest) -> StudyRunner:
    """Make the runner that a request asks for.

    Raises:
        ValidationError: the study cannot be run as declared, or as asked for.
    """
    study = target.study
    options: RunnerOptions = {
        "fresh": request.fresh,
        "only": request.only,
        "rescore": request.rescore,
        "retry_failed": request.retry_failed,
        "show_progress": request.show_progress,
        "output_dir": target.output_dir,
    }
    given: dict[str, Any] = {name: getattr(request, name) for name in _SAME}
    options |= cast("RunnerOptions", {k: v for k, v in given.items() if v is not None})
    if request.retries is not None:
        attempts = {"attempts": request.retries + 1}
        options["retry"] = study.execution.retry.model_copy(update=attempts)

    if request.fail_fast:
        options["fail_fast"] = True

    if request.engine is not None:
        options["engine"] = engine_at(request.address, target.output_dir)

    return runner_of_own_process(study, options)


_SAME = ("concurrency", "timeout_s", "max_failures", "stop_alike", "report", "control", "workers")
"""What a request says under the runner's own names, where it says it."""


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
    from penstock.engines.dask import DaskEngine
    from penstock.engines.ranks import FILE, others_in, rank_in

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
        process = load_extra("penstock.engines.dask_process", extra="dask", what="a worker")
        has_ended = anyio.run(partial(process.work_when_told, file))
        process.leave(0) if has_ended else process.begin_anew()

    return DaskEngine(rendezvous=file, awaited=others_in(os.environ))
