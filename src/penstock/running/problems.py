"""Finding what the name of a problem stands for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.errors import BindingError
from penstock.siblings import find_problem, where_else_problems
from penstock.study.problem import Problem

__all__ = ["find_named_problem"]


def find_named_problem(known: Mapping[str, Any], name: str) -> Problem:
    """Find the problem of a name: among those that are known, then in the sibling package.

    Raises:
        BindingError: there is none, or what is known by that name is no problem.
    """
    found = known.get(name)
    if isinstance(found, Problem):
        return found

    if isinstance(found, Mapping):
        return Problem(**{"problem_id": name, **found})

    if hasattr(found, "problem_id") and hasattr(found, "payload"):
        fields = {field: getattr(found, field, None) for field in Problem.model_fields}
        return Problem(**{field: value for field, value in fields.items() if value is not None})

    if name in known:
        raise BindingError(
            f"problem {name!r} is {found!r}; pass a Problem, or a mapping with the fields of one"
        )

    packaged = find_problem(name)
    if packaged is not None:
        return packaged

    if not known:
        return Problem(problem_id=name)  # the name says it all: agents know what it means

    raise BindingError(
        f"no problem is named {name!r}; declare it under `problems:` or pass "
        f"problem_registry={{{name!r}: Problem(...)}}; {where_else_problems()}"
    )
