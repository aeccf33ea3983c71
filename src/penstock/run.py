"""Running a study in one call, blocking or not."""

from __future__ import annotations

import sys
import warnings
from functools import partial
from typing import Unpack

import anyio

from penstock._base.loop import has_loop
from penstock._base.open_files import raise_file_limit
from penstock.events.tree import StudyStarted
from penstock.options import RunnerOptions
from penstock.runner import StudyRunner
from penstock.running.beside import run_beside
from penstock.running.interrupts import run_interruptibly
from penstock.study.given import refuse_other_study
from penstock.study.model import Study
from penstock.study_result import StudyResult

__all__ = [
    "StudyResult",
    "arun_study",
    "resume_study",
    "run_study",
    "runner_of_own_process",
    "wants_report",
]


async def arun_study(
    study: Study,
    *,
    dry_run: bool = False,
    resume: bool | None = None,  # noqa: ARG001 - a study always goes on from where it stands
    include_sqlite: bool = False,  # noqa: ARG001 - the store is always there
    **options: Unpack[RunnerOptions],
) -> StudyResult:
    """Run a study inside a running event loop, and return its results.

    What succeeded in an earlier session is kept and not run again.

    Args:
        study: What to run.
        dry_run: Check everything, plan, bind, and run nothing.
        resume: Accepted for those who move over; a study always goes on from where it stands.
        include_sqlite: Accepted for those who move over; ``study.sqlite`` is always there.
        **options: See `RunnerOptions`; they come before what the study declares.

    Raises:
        TypeError: there is no option of that name.
        ValidationError: the study cannot be run as declared; everything that is wrong.
        StoreError: the output directory cannot be used.
        SubscriberError: a critical subscriber failed.
    """
    runner = StudyRunner(study, **options)
    runner.on(StudyStarted)(_warn)
    if not dry_run:
        await runner.run()

    return StudyResult(runner.output_dir, runner.summary, dry_run=dry_run)


def run_study(
    study: Study,
    *,
    dry_run: bool = False,
    resume: bool | None = None,  # noqa: ARG001 - a study always goes on from where it stands
    include_sqlite: bool = False,  # noqa: ARG001 - the store is always there
    **options: Unpack[RunnerOptions],
) -> StudyResult:
    """Run a study to its end, and return its results; the arguments are those of `arun_study`.

    Ctrl-C once stops it: runs in flight end, everything is saved and exported, and
    ``KeyboardInterrupt`` is raised. Twice cancels the runs in flight too. A third time saves what
    has ended and raises ``KeyboardInterrupt`` in whatever code runs, also where that blocks the
    event loop. Run it again to go on.

    Where an event loop runs already, as in a cell of a notebook, the study runs in a thread with a
    loop of its own, and that loop waits; an application that embeds studies awaits `arun_study`.
    """
    make = partial(_runner_that_warns, study, options)
    if has_loop() and not dry_run:
        runner, is_interrupted = run_beside(make, _say)
    else:
        runner = make()
        is_interrupted = not dry_run and anyio.run(partial(run_interruptibly, runner))

    if is_interrupted:
        raise KeyboardInterrupt

    if not dry_run and wants_report(study, options.get("report")):
        _report(runner)

    return StudyResult(runner.output_dir, runner.summary, dry_run=dry_run)


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


def _runner_that_warns(study: Study, options: RunnerOptions) -> StudyRunner:
    runner = runner_of_own_process(study, options)
    runner.on(StudyStarted)(_warn)
    return runner


def runner_of_own_process(study: Study, options: RunnerOptions) -> StudyRunner:
    """Make a runner for one whose process this is, and who makes the report when it has run.

    Other processes of this user may look at it, unless the study or an option says otherwise.
    """
    refuse_other_study(study)
    raise_file_limit()  # before it is known how many runs may be in flight
    given: RunnerOptions = {**options, "report": False}
    if study.execution.control is None and options.get("control") is None:
        given["control"] = True

    return StudyRunner(study, **given)


def wants_report(study: Study, said: bool | None) -> bool:  # noqa: FBT001 - an option as given
    """Return whether whose process this is makes a report: unless the study or they say not to.

    Args:
        study: The study.
        said: The option ``report``.
    """
    wanted = study.execution.report if said is None else said
    return wanted is not False


def _report(runner: StudyRunner) -> None:
    """Write the report; a study that has run is not failed by its page."""
    from penstock.page.conclusion import conclude  # noqa: PLC0415 - slow to import

    try:
        conclude(runner.output_dir, runner.study)
    except Exception as error:  # noqa: BLE001 - said, whatever it is
        warnings.warn(f"the report could not be made: {error}", UserWarning, stacklevel=3)


def resume_study(
    study: Study, *, include_sqlite: bool = False, **options: Unpack[RunnerOptions]
) -> StudyResult:
    """Resume a study: the same as `run_study`, which always goes on from where it stands."""
    return run_study(study, include_sqlite=include_sqlite, **options)


def _warn(event: StudyStarted) -> None:
    """Warn of what a person should know of kept results, also in a notebook."""
    for sentence in event.warnings:
        warnings.warn(sentence, UserWarning, stacklevel=2)
