"""What a study declares, as the store keeps it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from penstock._base.json import decode, encode
from penstock._base.secrets import without_secrets
from penstock.errors import UnstableValueError
from penstock.planning.plan import Plan
from penstock.store.schema import FOLLOWS
from penstock.study.chat import spelled_out
from penstock.study.conditions import Condition
from penstock.study.identity import hash_identifier, stable_json_dumps
from penstock.study.model import Study
from penstock.study.problem import Problem

__all__ = [
    "agent_definition",
    "condition_row",
    "definition_of",
    "problem_definition",
    "question_of",
    "study_file_of",
]


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


def problem_definition(problem: Problem) -> str:
    """Write a problem as JSON; of its payload what no file can hold is left out."""
    declared = problem.model_dump()
    return stable_json_dumps({**declared, "payload": _writable(declared["payload"])})


def question_of(problem: Problem | Mapping[str, Any]) -> str:
    """Return the fingerprint of what answers to a problem are scored by: all but its code."""
    declared = decode(problem_definition(problem)) if isinstance(problem, Problem) else problem
    return hash_identifier("q", {name: declared[name] for name in declared if name != "evaluator"})


def _writable(value: Any) -> Any:
    """Leave out of a mapping what has no stable JSON form."""
    if not isinstance(value, Mapping):
        return value

    kept = {}
    for name, each in value.items():
        written = _writable(each)
        with suppress(UnstableValueError):
            stable_json_dumps({name: written})
            kept[name] = written

    return kept


def agent_definition(study: Study, name: str) -> str:
    """Write what a study declares of an agent as JSON; ``null`` where it is given in Python."""
    declared = study.agents.get(name)
    if declared is None:
        return stable_json_dumps(None)

    if declared.chat is not None:
        return stable_json_dumps({"chat": spelled_out(declared.chat, study.models)})

    return stable_json_dumps(declared.model_dump(mode="json"))


def definition_of(plan: Plan) -> str:
    """Write the study as JSON, without its problems and without keys that stand beside it."""
    definition = plan.study.to_dict(problems=False)
    provenance = without_secrets(definition["provenance_metadata"])
    marks = {FOLLOWS: True}  # see `penstock.store.scores.primary_outcomes`
    return stable_json_dumps({**definition, **marks, "provenance_metadata": provenance})


def study_file_of(study: Study, directory: Path) -> str | None:
    """Write where a study was read from, as its directory keeps it; None where it was in Python.

    Where results lie below the study file's folder the path is relative to them, so that the folder
    can be moved as a whole and tells nobody where it was.
    """
    if study.study_file is None:
        return None

    file, directory = study.study_file.resolve(), directory.resolve()
    return os.path.relpath(file, directory) if file.parent in directory.parents else str(file)
