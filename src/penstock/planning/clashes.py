"""Names that would stand for two things in the tables of a study."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.study.model import Study
from penstock.study.run_columns import EVERY_RUN, RUN_COLUMNS

__all__ = ["metric_clashes"]


def metric_clashes(study: Study) -> Iterator[str]:
    """List metrics of evaluators, and factors, that have the name of something else; with both.

    Names are compared as SQL does, which does not tell `Tone` from `tone`. A factor or block that
    is called like a built-in column is not one of them: the column gives way.
    """
    varied = [
        *((f"factor '{each.name}' (factors)", each.name) for each in study.factors),
        *((f"block '{each.name}' (blocks)", each.name) for each in study.blocks),
    ]
    names = {name.casefold() for _, name in varied}
    known = {name.casefold(): place for place, name in varied}
    for column in RUN_COLUMNS:
        if column in names and f"run_{column}" in names:
            yield (
                f"{known[f'run_{column}'].capitalize()} has the name that the built-in column "
                f"'{column}' takes beside {known[column]}; rename one of them."
            )

    for name in (*RUN_COLUMNS, *EVERY_RUN):
        known.setdefault(name, f"the built-in column '{name}' of every run")

    for name, evaluator in study.evaluators.items():
        metric = evaluator.metric_of(name)
        label = f"Evaluator '{name}' (evaluators)"
        if (other := known.get(metric.casefold())) is not None:
            yield f"{label} gives the metric '{metric}', which is also {other}; rename one of them."

        known.setdefault(metric.casefold(), f"the metric of evaluator '{name}' (evaluators)")
