"""Dry runs of ``run`` and ``rescore``: everything is checked, and nothing is run or written."""

from __future__ import annotations

from penstock.cli.chat_forecasts import forecast_lines, forecasts_of
from penstock.cli.output import counted, emit, errors_told, say
from penstock.cli.readiness import is_in_use, standing_in_words
from penstock.cli.run_request import RunRequest, runner_of
from penstock.cli.session import done_line, launched, tell_doubts, tell_rounding
from penstock.cli.streams import patient_streams
from penstock.cli.target import find_target
from penstock.planning.plan import Plan
from penstock.planning.selection import choose, to_make
from penstock.store.continuing.peek import peek
from penstock.store.continuing.restored import Restored
from penstock.summary import SessionSummary

__all__ = ["dry_run"]


def dry_run(named: str | None, request: RunRequest) -> None:
    """Check a study and say what is planned, done and left; run and write nothing."""
    with patient_streams() as stdout, errors_told():
        target = find_target(named, request.output_dir)
        runner = runner_of(target, request)
        plan, only = runner.plan, request.only
        kept = (
            Restored.nothing(len(plan))
            if request.fresh
            else peek(
                target.output_dir,
                plan,
                runner.bindings,
                rescore=request.rescore,
                retry_failed=request.retry_failed,
            )
        )
        made = to_make(choose(plan, only), kept.done, kept.answered, only)
        left_out = len(plan) - kept.kept - made.count(1)
        if request.json:
            emit(launched(runner, restored=kept.kept, left_out=left_out, dry_run=True), stdout)
            standing = {
                "succeeded": kept.kept,
                "session": SessionSummary(restored=kept.kept),
            }
            summary = runner.summary.model_copy(update=standing)
            emit(done_line(summary, left_out, target.output_dir), stdout)
            return

        _tell_size(plan)
        tell_rounding(runner, only)
        to_score = sum(made[position] for position in kept.answered)
        words = standing_in_words(kept.kept, made.count(1), to_score, left_out)
        say(
            f"{words}: {target.output_dir}" if words else f"results would go to {target.output_dir}"
        )
        not_made = made.translate(bytes([1, *bytes(255)]))
        tell_doubts(runner, kept=kept.kept)
        say(*kept.warnings, *kept.notes)
        if forecasts := forecasts_of(plan, kept._replace(done=not_made)):
            say(*forecast_lines(forecasts, is_rest=not_made.count(1) > 0))

        if is_in_use(target.output_dir):
            say("it is being run now: another run is refused until that ends")


def _tell_size(plan: Plan) -> None:
    conditions = counted(len(plan.cells), "condition")
    agents = counted(len(plan.agents()), "agent")
    problems = counted(len(plan.problems()), "problem")
    say(
        f"{plan.study.study_id}: valid; {counted(len(plan), 'run')} planned "
        f"({conditions}, {agents}, {problems}); nothing was run"
    )
