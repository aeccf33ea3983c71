"""The studies behind the golden values of the contract, for designs that cross all factors."""

from __future__ import annotations

from typing import Any

from penstock.study.factors import Block, Constraint, ConstraintSeverity, Factor, Level
from penstock.study.model import Study
from penstock.study.policies import DesignKind, DesignSpec, RunBudget, SeedPolicy

__all__ = ["GOLDEN_STUDIES"]

A = Factor(name="a", levels=[Level(name="lo", value=0), Level(name="hi", value=1)])
B = Factor(name="b", levels=["x", "y", "z"])
COHORT = Block(name="cohort", levels=["n", "e"])


def study(
    factors: list[Factor], blocks: tuple[Block, ...] = (), *, agents: int = 2, **more: Any
) -> Study:
    return Study(
        study_id="golden",
        title="golden",
        factors=factors,
        blocks=blocks,
        agent_specs=["ag1", "ag2"][:agents],
        problem_ids=["p1", "p2"][:agents],
        run_budget=RunBudget(replicates=2),
        seed_policy=SeedPolicy(base_seed=5),
        **more,
    )


GOLDEN_STUDIES = {
    "full_factorial": study([A, B], (COHORT,)),
    "full_factorial_randomized": study([A, B], (COHORT,), design_spec=DesignSpec(randomize=True)),
    "full_counterbalanced": study([A, B], design_spec=DesignSpec(counterbalance=True)),
    "constrained_factorial": study(
        [A, B],
        (COHORT,),
        design_spec=DesignSpec(kind=DesignKind.CONSTRAINED_FACTORIAL, randomize=True),
        constraints=[
            Constraint(
                constraint_id="c-err",
                description="no z with hi",
                expression="not (a == 1 and b == 'z')",
            ),
            Constraint(
                constraint_id="c-warn",
                description="warn lo",
                expression="factors.a != 0",
                severity=ConstraintSeverity.WARNING,
            ),
        ],
    ),
    "comparison_metadata": study(
        [
            Factor(
                name="arm",
                levels=[
                    Level(
                        name="base",
                        value="base",
                        label="Base",
                        metadata={"is_baseline": True, "role": "baseline"},
                    ),
                    Level(name="t", value="treat", label="Treat", metadata={"role": "treatment"}),
                ],
            ),
            A,
        ]
    ),
    "agent_problem_factors": study(
        [Factor(name="agent_id", levels=["ag9", "ag8"]), Factor(name="problem", levels=["p9"])]
    ),
    "max_runs": study([A], agents=1),
}
