"""What a study declares, as rows of the store."""

from __future__ import annotations

from typing import Any

from penstock.encoding import encode
from penstock.errors import UnstableValueError
from penstock.study.conditions import Condition
from penstock.study.identity import stable_json_dumps
from penstock.study.problem import Problem

__all__ = ["condition_row", "problem_row"]


def condition_row(position: int, condition: Condition) -> tuple[Any, ...]:
    """Write a condition."""
    return (
        position,
        condition.condition_id,
        condition.admissible,
        encode(condition.constraint_messages),
        stable_json_dumps(condition.factor_assignments),
        stable_json_dumps(condition.block_assignments),
        stable_json_dumps(condition.metadata),
    )


def problem_row(position: int, problem: Problem) -> tuple[Any, ...]:
    """Write a problem; where its payload holds an object that no file can hold, without it."""
    try:
        definition = stable_json_dumps(problem.model_dump())
    except UnstableValueError:
        definition = stable_json_dumps(problem.model_dump(exclude={"payload"}))

    return (position, problem.problem_id, definition)
