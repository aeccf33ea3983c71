"""A study run on the command line, from its launch to its exit code."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, NoReturn, TextIO

import anyio
import typer

from penstock.cli.exit_codes import ExitCode
from penstock.cli.logs import show_logs
from penstock.cli.output import counted, emit, errors_told, listed, say
from penstock.cli.standing import failure_rows
from penstock.cli.streams import patient_streams
from penstock.cli.target import find_study
from penstock.events.tree import StudyStarted
from penstock.options import RunnerOptions
from penstock.results import StudySummary
from penstock.run import run_interruptibly
from penstock.runner import StudyRunner
from penstock.store.reader import StoreReader

__all__ = ["RunRequest", "dry_run", "run"]

_GIVE_UP_AT = 3
"""The interrupt at which we leave whatever still runs."""


class RunRequest(NamedTuple):
    """What was asked for on the command line; see ``penstock run --help``."""

    output_dir: Path | None
    concurrency: int | Literal["auto"] | None
    timeout_s: float | None
    retries: int | None
    fail_fast: bool
    max_failures: int | None
    fresh: bool
    show_progress: bool
    json: bool
    verbose: bool


def run(target: str, request: RunRequest) -> None:
    """Run a study, say what came of it, and exit with the code that says so too."""
    with patient_streams() as stdout, errors_told():
        show_logs(verbose=request.verbose)
        session = _Session(_runner(target, request), request, stdout)
        raise typer.Exit(session.run())


def dry_run(target: str, request: RunRequest) -> None:
    """Check a study and say how large its plan is; run and write nothing."""
    with patient_streams() as stdout, errors_told():
        runner = _runner(target, request)
        plan = runner.plan
        if request.json:
            session = _Session(runner, request, stdout)
            session.launch()
            session.done()
        else:
            conditions = counted(len(plan.cells), "condition")
            agents = counted(len(plan.agents()), "agent")
            problems = counted(len(plan.problems()), "problem")
            say(
                f"{runner.study.study_id}: valid; {counted(len(plan), 'run')} planned "
                f"({conditions}, {agents}, {problems}); nothing was run",
                f"results would go to {runner.output_dir}",
            )


def _runner(target: str, request: RunRequest) -> StudyRunner:
    study = find_study(target)
    options: RunnerOptions = {"fresh": request.fresh, "show_progress": request.show_progress}
    if request.output_dir is not None:
        # On the command line a path is relative to where one stands, not to the study file.
        options["output_dir"] = request.output_dir.absolute()

    if request.concurrency is not None:
        options["concurrency"] = request.concurrency

    if request.timeout_s is not None:
        options["timeout_s"] = request.timeout_s

    if request.retries is not None:
        attempts = {"attempts": request.retries + 1}
        options["retry"] = study.execution.retry.model_copy(update=attempts)

    if request.max_failures is not None:
        options["max_failures"] = request.max_failures

    if request.fail_fast:
        options["fail_fast"] = True

    return StudyRunner(study, **options)


class _Session:
    """One run of a study on the command line."""

    def __init__(self, runner: StudyRunner, request: RunRequest, stdout: TextIO) -> None:
        self._runner = runner
        self._request = request
        self._stdout = stdout
        self._interrupts = 0
        self._is_launched = False

    def run(self) -> ExitCode:
        """Run to the end, or to where a person interrupts it."""
        self._runner.on(StudyStarted)(self.launch)
        try:
            anyio.run(partial(run_interruptibly, self._runner, self._on_interrupt))
        except KeyboardInterrupt:  # it came before, or after, the study could receive it
            self._interrupts += 1
        finally:
            self.done()

        code = self._exit_code()
        if not self._request.json:
            self._sum_up(code)

        return code

    def launch(self, event: StudyStarted | None = None) -> None:
        """Write the first line for machines; the directory is ours and the study begins."""
        self._is_launched = True
        lost_calls = 0 if event is None else event.lost_calls
        if lost_calls:
            say(
                f"an earlier session was killed: {counted(lost_calls, 'call')} may have been paid "
                "for without a result; what has none is run again"
            )

        if self._request.json:
            emit(
                "launch",
                to=self._stdout,
                study_id=self._runner.study.study_id,
                planned=len(self._runner.plan),
                restored=0 if event is None else event.restored,
                lost_calls=lost_calls,
                concurrency=self._runner.concurrency,
                output_dir=str(self._runner.output_dir),
                pid=os.getpid(),
                dry_run=event is None,
            )

    def done(self) -> None:
        """Write the last line for machines, however the study ended."""
        if self._request.json and self._is_launched:
            summary = self._runner.summary
            emit(
                "done",
                to=self._stdout,
                planned=summary.planned,
                restored=summary.restored,
                succeeded=summary.succeeded,
                failed=summary.failed,
                skipped=summary.skipped,
                remaining=summary.remaining,
                stopped_because=summary.stopped_because,
                output_dir=str(self._runner.output_dir),
            )

    def _exit_code(self) -> ExitCode:
        summary = self._runner.summary
        if self._interrupts and summary.remaining:
            return ExitCode.INTERRUPTED

        if summary.is_out_of_budget and (summary.remaining or summary.failed):
            return ExitCode.OUT_OF_BUDGET

        if summary.failed > (self._runner.execution.failures_allowed or 0) or summary.remaining:
            return ExitCode.FAILED_RUNS

        return ExitCode.COMPLETE

    def _on_interrupt(self, message: str) -> None:
        self._interrupts += 1
        if self._interrupts >= _GIVE_UP_AT:
            self._give_up()

        say(message)

    def _give_up(self) -> NoReturn:
        """Leave at once: something ignores its cancellation. The store is safe at any moment."""
        say("left at once; what was saved is safe, and running it again goes on")
        self.done()
        os._exit(ExitCode.INTERRUPTED)

    def _sum_up(self, code: ExitCode) -> None:
        """Say what came of it, where the results are, and what to do next."""
        summary = self._runner.summary
        say(
            f"{summary.study_id}: {_state(summary, code)}",
            f"runs: {_counts(summary)}",
            f"results: {self._runner.output_dir}",
        )
        if summary.failed:
            with StoreReader(self._runner.output_dir) as store:
                say(
                    "failures (study.sqlite has each traceback):",
                    *listed(failure_rows(store), most=5),
                )

        again = "run it again without --fresh" if self._request.fresh else "run it again"
        waiting = summary.failed + summary.remaining
        if waiting:
            say(f"next: {again} to make the {counted(waiting, 'run')} that failed or remain")


def _state(summary: StudySummary, code: ExitCode) -> str:
    if code is ExitCode.INTERRUPTED:
        return "interrupted"

    if code is ExitCode.OUT_OF_BUDGET:
        return f"stopped: {summary.stopped_because}"

    if summary.remaining:
        return "stopped early"

    return "finished, but some runs failed" if summary.failed else "complete"


def _counts(summary: StudySummary) -> str:
    counts = {
        "succeeded": summary.succeeded,
        "failed": summary.failed,
        "skipped": summary.skipped,
        "kept from before": summary.restored,
        "not run": summary.remaining,
    }
    said = [f"{summary.planned:,} planned"]
    said += [f"{count:,} {name}" for name, count in counts.items() if count]
    if summary.cost_usd:
        said.append(f"${summary.cost_usd:,.4f} spent")

    return ", ".join(said)
