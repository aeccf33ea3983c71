"""Labels: scores that people gave, read from a file and joined by run or problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, nan
from pathlib import Path
from typing import Any

from penstock.agents.context import RunContext
from penstock.errors import BindingError
from penstock.evaluators.port import BoundEvaluator
from penstock.results import Evaluation
from penstock.study.row_files import read_rows
from penstock.study.scoring import LabelsOptions

__all__ = ["LABELS_VERSION", "bind_labels"]

LABELS_VERSION = 1


def bind_labels(name: str, options: LabelsOptions, path: Path) -> BoundEvaluator:
    """Make an evaluator of the scores in a file; a run that is not in it has no score.

    Args:
        name: The evaluator's name, and its metric's.
        options: Which columns are read.
        path: The file.

    Raises:
        BindingError: the file cannot be read, lacks a column, scores something twice, or holds a
            score that is not a number.
    """
    try:
        labels = _read(options, path)
    except (OSError, ValueError) as error:
        raise BindingError(f"evaluator {name!r}: {error}") from error

    async def evaluate(ctx: RunContext, _: Mapping[str, Any]) -> Sequence[Evaluation]:
        spec = ctx.spec
        score = labels.get(spec.run_id if options.key == "run_id" else spec.problem_id or "")
        if score is None:
            return ()

        return (
            Evaluation(run_id=spec.run_id, evaluator_id=name, metric_name=name, metric_value=score),
        )

    return evaluate


def _read(options: LabelsOptions, path: Path) -> dict[str, float]:
    labels: dict[str, float] = {}
    for line, row in read_rows(path):
        missing = [column for column in (options.key, options.score) if column not in row]
        if missing:
            raise ValueError(
                f"{path}, line {line}: no column {', '.join(missing)}; columns: {', '.join(row)}"
            )

        key, score = str(row[options.key]), row[options.score]
        if score is None or (isinstance(score, str) and not score.strip()):
            continue

        number = _number(score)
        if not isfinite(number):
            raise ValueError(f"{path}, line {line}: the score {score!r} is not a number")

        if key in labels and labels[key] != number:
            raise ValueError(f"{path}, line {line}: {key!r} was given another score before")

        labels[key] = number

    if not labels:
        raise ValueError(f"{path} holds no score in its column {options.score}")

    return labels


def _number(score: Any) -> float:
    try:
        return float(score)
    except (TypeError, ValueError):
        return nan
