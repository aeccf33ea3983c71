"""Small studies for the tests of designs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import penstock as ps
from penstock.study.policies import DesignSpec


def study_of(
    factors: Mapping[str, Sequence[Any]],
    *,
    blocks: Mapping[str, Sequence[Any]] | None = None,
    seed: int = 5,
    **fields: Any,
) -> ps.Study:
    """Declare a study from name -> levels; levels that are pairs are (name, value)."""
    return ps.Study.model_validate(
        {
            "study_id": "s1",
            "title": "A study",
            "problem_ids": ["p1"],
            "factors": [
                {
                    "name": name,
                    "levels": [{"name": f"{name}{i}", "value": v} for i, v in enumerate(values)],
                }
                for name, values in factors.items()
            ],
            "blocks": [
                {"name": name, "levels": list(values)} for name, values in (blocks or {}).items()
            ],
            "seed_policy": {"base_seed": seed},
            **fields,
        }
    )


def rows_of(study: ps.Study, **spec: Any) -> list[dict[str, Any]]:
    """Build a design and give its factor assignments, each as often as it is replicated."""
    return [
        dict(condition.factor_assignments)
        for condition in ps.build_design(study, DesignSpec(**spec))
        for _ in range(condition.replicates)
    ]
