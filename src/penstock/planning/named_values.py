"""What an analysis plan may name of a run: what it is, and what it comes to."""

from __future__ import annotations

from penstock.study.model import Study
from penstock.study.run_columns import BEFORE_A_RUN, READ_OF_A_RUN

__all__ = ["known_after", "known_before"]


def known_before(study: Study) -> list[str]:
    """Return what is known of a run before it is made.

    Factors and blocks, ``family`` and the fields of the problems that the study declares, also as
    ``payload.field`` and ``metadata.field``, and the columns that tell runs apart.
    """
    known = [*(each.name for each in study.factors), *(each.name for each in study.blocks)]
    known += [*BEFORE_A_RUN, "family", "problem_family"]
    for problem in study.problems:
        for where, fields in (("payload", problem.payload), ("metadata", problem.metadata)):
            known += [name for field in fields for name in (field, f"{where}.{field}")]

    return list(dict.fromkeys(known))


def known_after(study: Study) -> list[str]:
    """Return what a study says that its runs come to: columns, scores, and outcomes."""
    outcomes = (outcome.column for outcome in study.outcomes)
    return list(dict.fromkeys([*READ_OF_A_RUN, *study.evaluators, *outcomes]))
