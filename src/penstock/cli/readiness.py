"""Whether a study can be run and what is done of it: for commands that look and run nothing."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from penstock.cli.target import Target
from penstock.errors import StoreError, ValidationError
from penstock.planning.plan import Plan
from penstock.running.checking import CheckReport, prepare
from penstock.store.continuing.peek import peek
from penstock.store.continuing.restored import Restored
from penstock.store.files.lock import is_held

__all__ = ["Readiness", "is_in_use", "readiness", "standing_in_words"]


class Readiness(NamedTuple):
    """What `run` would find: what is wrong, what is planned, and what is done of it."""

    target: Target
    report: CheckReport
    plan: Plan | None
    kept: Restored

    def planned(self) -> Plan:
        """Return the plan of a study that can be run.

        Raises:
            ValidationError: it cannot; everything that is wrong.
        """
        if self.plan is None or self.report.errors:
            raise ValidationError(self.report.errors)

        return self.plan


def readiness(target: Target) -> Readiness:
    """Find what `run` would find; the study's own code is imported, and nothing is written.

    Args:
        target: The study, and where its results are or would go.
    """
    prepared = prepare(target.study)
    report, plan, kept = prepared.report, prepared.plan, Restored.nothing(0)
    if plan is not None:
        try:
            kept = peek(target.output_dir, plan, prepared.bindings)
        except StoreError as error:
            report = report.model_copy(update={"errors": (*report.errors, str(error))})

    return Readiness(target, report.model_copy(update={"done": kept.kept}), plan, kept)


def is_in_use(directory: Path) -> bool:
    """Return whether a study is being run in a directory now."""
    try:
        return is_held(directory)
    except OSError:  # one may not look
        return False


def standing_in_words(done: int, left: int, unscored: int = 0, left_out: int = 0) -> str:
    """Return what is done and what is left of a plan; nothing where nothing is done or left out."""
    if not (done or unscored or left_out):
        return ""

    said = [f"{done:,} done, {left:,} left"]
    said += [f"{unscored:,} of them only to be scored"] if unscored else []
    said += [f"{left_out:,} for a later run"] if left_out else []
    return ", ".join(said)
