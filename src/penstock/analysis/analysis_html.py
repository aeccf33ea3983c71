"""An analysis as a notebook shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from penstock._base.html import html_block, html_table
from penstock.analysis.contrasts import Contrast
from penstock.analysis.estimates import ConditionEstimate, Interval
from penstock.analysis.verdicts import HypothesisResult

__all__ = ["analysis_html"]


def analysis_html(
    title: str,
    lines: Iterable[str],
    hypotheses: Sequence[HypothesisResult],
    conditions: Sequence[ConditionEstimate],
    differences: Mapping[str, Contrast],
) -> str:
    """Return what came of a study: verdicts, conditions, and differences, as tables.

    Args:
        title: Which study.
        lines: What is said before the tables.
        hypotheses: What came of its hypotheses.
        conditions: What its primary outcome came to under each condition.
        differences: Name -> a difference of it.
    """
    verdicts = [(each.hypothesis_id, each.verdict, each.sentence) for each in hypotheses]
    return html_block(
        title,
        html_table(("hypothesis", "verdict", "finding"), verdicts),
        _conditions(conditions),
        _differences(differences),
        lines=lines,
    )


def _conditions(conditions: Sequence[ConditionEstimate]) -> str:
    rows = [
        (
            each.name,
            _number(each.mean) or each.undefined.get("mean", ""),
            _interval(each.interval),
            f"{each.n_problems:,}",
            f"{each.n_runs:,}",
        )
        for each in conditions
    ]
    return html_table(("condition", "mean", "95 % interval", "problems", "runs"), rows)


def _differences(differences: Mapping[str, Contrast]) -> str:
    rows = [
        (
            name,
            _number(each.difference) or next(iter(each.undefined.values()), ""),
            _interval(each.interval),
            "" if each.p is None else f"{each.p:.2g}",
            each.how,
        )
        for name, each in differences.items()
    ]
    return html_table(("difference", "mean", "95 % interval", "p", "how"), rows)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f"[{interval.low:.4g}, {interval.high:.4g}]"
