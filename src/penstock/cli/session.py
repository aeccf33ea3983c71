"""A study run on the command line, from its launch to its exit code."""

from __future__ import annotations

import gc
import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

import anyio
import typer

from penstock.cli.exit_codes import ExitCode
from penstock.cli.logs import show_logs
from penstock.cli.output import counted, emit, errors_told, failure_rows, in_one_line, listed, say
from penstock.cli.records import NUMBERS, Done, Launched
from penstock.cli.run_request import RunRequest, runner_of
from penstock.cli.serve import page_beside
from penstock.cli.streams import patient_streams
from penstock.cli.target import find_target
from penstock.errors import StoreError
from penstock.events.tree import StudyStarted
from penstock.planning.selection import Selection, choose
from penstock.run import wants_report
from penstock.runner import StudyRunner
from penstock.running.checking import doubts_of
from penstock.running.interrupts import run_interruptibly
from penstock.store.continuing.refused import RefusedLately, refused_in_last_session
from penstock.store.ledger import failures
from penstock.store.reader import StoreReader
from penstock.store.scores.score_accounts import rule_changes
from penstock.summary import StudySummary, endings_in_words

if TYPE_CHECKING:
    from penstock.page.conclusion import Conclusion

__all__ = ["done_line", "launched", "run", "tell_doubts", "tell_rounding"]


def run(named: str | None, request: RunRequest) -> None:
    """Run a study, say what came of it, and exit with the code that says so too."""
    with patient_streams() as stdout, errors_told():
        show_logs(verbose=request.verbose)
        target = find_target(named, request.output_dir)
        runner = runner_of(target, request)
        tell_rounding(runner, request.only)
        session = _Session(runner, request, stdout)
        with page_beside(runner.output_dir, is_wanted=request.page, control=request.control):
            code = session.run()

        raise typer.Exit(code)


def tell_doubts(runner: StudyRunner, *, kept: int) -> None:
    """Print what `check` warns about, where runs are left to be made.

    Args:
        runner: The study's runner.
        kept: How many runs have results from before.
    """
    if kept < len(runner.plan):
        doubts = doubts_of(runner.study, runner.plan, runner.bindings)
        say(*(f"warning: {in_one_line(doubt)}" for doubt in doubts))


def tell_rounding(runner: StudyRunner, only: Selection) -> None:
    """Print where a limit was rounded up, and why."""
    limit, chosen = only.limit, choose(runner.plan, only).count(1) if only.limit else 0
    if limit is not None and chosen > limit:
        say(
            f"--limit {limit:,} takes {chosen:,} runs, so that the last block is whole: one "
            "problem and replicate under every condition"
        )


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
        gc.freeze()  # what is imported stays; `relaxed_gc` would look through it for garbage first
        try:
            anyio.run(partial(run_interruptibly, self._runner, self._on_interrupt, self._leave))
        except KeyboardInterrupt:  # it came before, or after, the study could receive it
            self._interrupts += 1
        finally:
            self.done()

        code = self._exit_code()
        concluded = None if self._interrupts and code is ExitCode.INTERRUPTED else self._conclude()
        if not self._request.json:
            self._sum_up(code, concluded)

        return code

    def launch(self, event: StudyStarted) -> None:
        """Write the first line for machines; the directory is ours and the study begins."""
        self._is_launched = True
        if event.lost_calls:
            calls = counted(event.lost_calls, "call")
            say(
                f"of earlier sessions {calls} may have been paid for without a result: they were "
                "killed or cancelled; what has none is run again"
            )

        tell_doubts(self._runner, kept=event.restored)
        say(*event.warnings, *event.notes)
        if self._request.json:
            line = launched(
                self._runner,
                restored=event.restored,
                left_out=event.left_out,
                lost_calls=event.lost_calls,
            )
            emit(line, self._stdout)

    def done(self) -> None:
        """Write the last line for machines, however the study ended."""
        if self._request.json and self._is_launched:
            runner = self._runner
            emit(done_line(runner.summary, runner.left_out, runner.output_dir), self._stdout)

    def _exit_code(self) -> ExitCode:
        summary = self._runner.summary
        remaining = summary.undone - self._runner.left_out
        if (self._interrupts or self._runner.steering.is_stopped) and remaining:
            return ExitCode.INTERRUPTED

        if summary.is_out_of_budget and (remaining or summary.failed):
            return ExitCode.OUT_OF_BUDGET

        if self._runner.cannot_go_on and (remaining or summary.failed):
            return ExitCode.CANNOT_GO_ON

        if summary.failed > (self._runner.execution.failures_allowed or 0) or remaining:
            return ExitCode.FAILED_RUNS

        return ExitCode.COMPLETE

    def _on_interrupt(self, message: str) -> None:
        self._interrupts += 1
        say(message)

    def _leave(self, message: str) -> NoReturn:
        """Exit from within a signal handler; the store is safe at any moment."""
        say(message)
        self.done()
        os._exit(ExitCode.INTERRUPTED)

    def _conclude(self) -> Conclusion | None:
        """Find what came of the study; one that has run is not failed by its page."""
        from penstock.page.conclusion import conclude

        study = self._runner.study
        wanted = wants_report(study, self._request.report)
        try:
            return conclude(self._runner.output_dir, study, wants_report=wanted)
        except Exception as error:  # noqa: BLE001 - said, whatever it is
            say(f"the report could not be made: {type(error).__name__}: {error}")
            return None

    def _sum_up(self, code: ExitCode, concluded: Conclusion | None) -> None:
        """Print what came of it, where the results are, and what to do next."""
        summary = self._runner.summary
        state = _state(summary, code, self._runner.left_out)
        if code is ExitCode.INTERRUPTED and not self._interrupts:  # `penstock stop`
            state = summary.stopped_because or state

        say(
            f"{summary.study_id}: {state}",
            f"runs: {_counts(summary)}",
            f"results: {self._runner.output_dir}",
        )
        say(*filter(None, [endings_in_words(summary.session.unknown_endings)]))
        with suppress(StoreError), StoreReader(self._runner.output_dir) as store:
            say(*map(str, rule_changes(store)))

        if concluded is not None:
            say(*concluded.finding)
            say(*([f"report: {concluded.report}"] if concluded.report else []))

        refused = RefusedLately(0, 0)
        if summary.failed:
            with StoreReader(self._runner.output_dir) as store:
                refused = refused_in_last_session(store)
                say(
                    "failures (study.sqlite has each traceback):",
                    *listed(failure_rows(failures(store)), most=5),
                )

        again = "run it again without --fresh" if self._request.fresh else "run it again"
        left_out = self._runner.left_out
        waiting = summary.undone - left_out + summary.session.failed - refused.runs
        if refused.runs:
            before = f" ({refused.unasked:,} of them before, and not asked now)"
            say(
                f"{refused.runs:,} of them were refused for good{before if refused.unasked else ''}"
                ", and are asked again where the request changes, or with --retry-failed"
            )

        if waiting:
            say(f"next: {again} to make the {counted(waiting, 'run')} that failed or remain")
        elif left_out:
            say(f"next: `penstock run` without what chose these runs makes the other {left_out:,}")


def launched(
    runner: StudyRunner,
    *,
    restored: int,
    left_out: int,
    lost_calls: int = 0,
    dry_run: bool = False,
) -> Launched:
    """Make the first line for machines."""
    return Launched(
        study_id=runner.study.study_id,
        planned=len(runner.plan),
        restored=restored,
        left_out=left_out,
        lost_calls=lost_calls,
        concurrency=runner.concurrency,
        output_dir=str(runner.output_dir),
        pid=os.getpid(),
        dry_run=dry_run,
    )


def done_line(summary: StudySummary, left_out: int, output_dir: Path) -> Done:
    """Make the last line for machines."""
    return Done(
        restored=summary.session.restored,
        left_out=left_out,
        **{name: getattr(summary, name) for name in NUMBERS},
        output_dir=str(output_dir),
    )


def _state(summary: StudySummary, code: ExitCode, left_out: int) -> str:
    if code is ExitCode.INTERRUPTED:
        return "interrupted"

    if code in (ExitCode.OUT_OF_BUDGET, ExitCode.CANNOT_GO_ON):
        return f"stopped: {summary.stopped_because}"

    if summary.undone > left_out:
        why = summary.stopped_because
        return f"stopped early: {why}" if why else "stopped early"

    if summary.failed:
        return "finished, but some runs failed"

    return "the chosen runs are made" if left_out else "complete"


def _counts(summary: StudySummary) -> str:
    counts = {
        "succeeded": summary.succeeded,
        "failed": summary.failed,
        "skipped": summary.skipped,
        "kept from before": summary.session.restored,
        "not run": summary.remaining,
    }
    said = [f"{summary.planned:,} planned"]
    said += [f"{count:,} {name}" for name, count in counts.items() if count]
    if summary.cost_in_words:
        said.append(f"{summary.cost_in_words} spent")

    return ", ".join(said)
