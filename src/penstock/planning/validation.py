"""What is wrong with a study before anything is spent: everything, listed at once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from penstock.designs.registry import center_errors
from penstock.errors import ValidationError
from penstock.planning.claims import claim_errors
from penstock.planning.estimability import estimability_errors
from penstock.planning.plan import PROBLEM_FACTORS, Plan, plan
from penstock.study.conditions import Condition
from penstock.study.given import refuse_other_conditions, refuse_other_study
from penstock.study.identity import stable_json_dumps
from penstock.study.model import Study
from penstock.study.run_columns import EVERY_RUN, RUN_COLUMNS

__all__ = ["declaration_errors", "planned_or_errors", "validate_study"]

RESERVED_COLUMNS = frozenset(
    {"study_id", "condition_id", "admissible", "constraint_messages", "assignment_meta_json"}
)


def validate_study(study: Study) -> list[str]:
    """List what is wrong with a study; an empty list means that it can be planned.

    None of the study's code is imported. A study that names neither agents nor problems is taken
    for one of a condition runner.
    """
    refuse_other_study(study)
    _, errors = planned_or_errors(study, standalone=not study.agent_specs)
    return list(dict.fromkeys(errors))  # planning finds some of them as well


def planned_or_errors(
    study: Study, conditions: Sequence[Condition] | None = None, *, standalone: bool = False
) -> tuple[Plan | None, list[str]]:
    """Plan a study, and list everything that is wrong with it; no code of its is imported.

    Args:
        study: The declared study.
        conditions: Conditions to use in place of those the study's design makes.
        standalone: Whether a condition runner does its runs, without agents and problems.

    Returns:
        The plan, which is None where none can be made, and what is wrong, a sentence each.
    """
    refuse_other_study(study)
    errors: list[str] = []
    try:
        if conditions is None:
            errors += center_errors(study)
        else:
            refuse_other_conditions(conditions)

        errors += declaration_errors(study, conditions, standalone=standalone)

        made = plan(study, conditions, standalone=standalone)
        errors += estimability_errors(study, made.conditions)
    except ValidationError as error:
        return None, [*errors, *error.errors]

    return made, errors


def declaration_errors(
    study: Study, conditions: Sequence[Condition] | None = None, *, standalone: bool = False
) -> list[str]:
    """List what is wrong with what a study declares, before any condition is made.

    Args:
        study: The study.
        conditions: Conditions to use in place of those the study's design makes.
        standalone: Whether a condition runner does its runs, which needs no problems.
    """
    return [
        *_duplicates(study),
        *claim_errors(study, conditions),
        *_name_clashes(study),
        *_metric_clashes(study),
        *_unready(study, standalone=standalone),
    ]


def _duplicates(study: Study) -> Iterator[str]:
    named = {
        "factor": (factor.name for factor in study.factors),
        "block": (block.name for block in study.blocks),
        "outcome": (outcome.name for outcome in study.outcomes),
        "analysis plan": (each.analysis_plan_id for each in study.analysis_plans),
        "hypothesis": (each.hypothesis_id for each in study.hypotheses),
        "constraint": (each.constraint_id for each in study.constraints),
        "problem": (problem.problem_id for problem in study.problems),
        "agent_specs": study.agent_specs,
        "problem_ids": study.problem_ids,
    }
    for kind, names in named.items():
        for name in _repeated(names):
            yield f"Duplicate {kind} name detected: '{name}'."

    for factor in study.factors:
        for value in _equal_values(factor.values()):
            yield f"Factor '{factor.name}' has two levels of the value {value}."

    for block in study.blocks:
        for value in _equal_values(block.levels):
            yield f"Block '{block.name}' has two levels of the value {value}."


def _equal_values(values: Iterable[Any]) -> Iterator[str]:
    """List values that are there twice; who reads a table does not tell 1 and 1.0 apart."""
    alike: dict[Any, list[str]] = {}
    for value in values:
        written = stable_json_dumps(value)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        alike.setdefault(value if is_number else written, []).append(written)

    for found in alike.values():
        if len(found) > 1:
            yield " or ".join(dict.fromkeys(found))


def _name_clashes(study: Study) -> Iterator[str]:
    """Compare names as SQL does, which does not tell `Tone` from `tone`."""
    factors = {factor.name.casefold(): factor.name for factor in study.factors}
    for factor in study.factors:
        if factor.name.casefold() in RESERVED_COLUMNS:
            name = factor.name
            yield f"Factor '{name}' has the name of a column of conditions.csv; rename it."

    for kind, names in (
        ("Factors", {factor.name for factor in study.factors}),
        ("Blocks", {block.name for block in study.blocks}),
    ):
        for folded in _repeated(name.casefold() for name in names):
            alike = " and ".join(repr(name) for name in sorted(names) if name.casefold() == folded)
            yield f"{kind} {alike} differ only in case; rename one of them."

    for block in study.blocks:
        if block.name.casefold() in factors:
            yield f"Block '{block.name}' has the name of a factor; rename one of them."

        if column := factors.get(f"block_{block.name}".casefold()):
            yield f"Factor '{column}' has the column of block '{block.name}'; rename it."


def _metric_clashes(study: Study) -> Iterator[str]:
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


def _unready(study: Study, *, standalone: bool) -> Iterator[str]:
    has_problem_factor = any(factor.name in PROBLEM_FACTORS for factor in study.factors)
    if not (standalone or study.problem_ids or has_problem_factor):
        yield (
            "Study execution requires problem IDs, a problem factor, or condition_runner; declare "
            "`problems:`, or list `problem_ids:` and pass a problem_registry."
        )

    default = Path("artifacts") / study.study_id
    if study.output_dir == default and (default.is_absolute() or ".." in default.parts):
        yield (
            f"Study.study_id {study.study_id!r} would put the results outside of artifacts/; "
            "choose another name, or say `output_dir:`."
        )

    varied = (*(each.name for each in study.factors), *(each.name for each in study.blocks))
    columns = (*varied, *study.evaluators)
    for name in (study.study_id, *study.problem_ids, *study.agent_specs, *columns):
        if re.search(r"[\x00-\x1f\x7f]", name):
            yield f"The name {name!r} holds a control character; names are plain text."

    for name in columns:
        if name != name.strip() or not name:
            yield f"The name {name!r} is empty, or begins or ends with a space; it heads a column."


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
