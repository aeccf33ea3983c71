"""The fingerprint of a plan: what tells it from another, wherever it is made."""

from __future__ import annotations

from penstock.planning.plan import Plan
from penstock.study.identity import hash_identifier

__all__ = ["fingerprint_of"]


def fingerprint_of(plan: Plan) -> str:
    """Hash what a position of the plan means, which is what stored positions depend on."""
    lists: dict[tuple[str, ...], int] = {}  # thousands of cells may share one list of problems
    cells = [
        [
            cell.condition.condition_id,
            cell.replicates,
            lists.setdefault(cell.agents, len(lists)),
            lists.setdefault(cell.problems, len(lists)),
        ]
        for cell in plan.cells
    ]
    return hash_identifier(
        "plan",
        {
            "study_id": plan.study.study_id,
            "seeds": plan.study.seed_policy.model_dump(mode="json"),
            "conditions": [condition.condition_id for condition in plan.conditions],
            "cells": cells,
            "lists": list(lists),
        },
    )
