"""The study: everything that is declared before anything runs, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from penstock._base.fact import EMPTY, Declaration, JsonMapping, Name, Text
from penstock._base.frozen import FrozenDict, frozen_json
from penstock.study.chat import Budget, EndpointLimits, Price
from penstock.study.declarations import AgentDeclaration, EvaluatorDeclaration
from penstock.study.factors import Block, Constraint, Factor
from penstock.study.hypotheses import AnalysisPlan, Hypothesis, Outcome
from penstock.study.policies import DesignSpec, RunBudget, RunOrder, SeedPolicy
from penstock.study.problem import Problem

__all__ = ["SCHEMA_VERSION", "Study"]

SCHEMA_VERSION = "0.2.0"
"""The version of the study file and of the artifacts."""


def _named_list(data: Any) -> Any:
    """Let a list of short texts name itself: ``[exact]`` means ``{exact: exact}``."""
    if isinstance(data, (list, tuple)) and all(isinstance(item, str) for item in data):
        return {item: item for item in data}

    return data


class Study(Declaration):
    """A study as its author declares it, in Python or in a ``study.yaml``.

    Args:
        study_id: Names the study; it enters every run's id and seed.
        factors: What is varied. Every combination of levels is a condition.
        blocks: Groups that every combination is crossed with.
        constraints: Which combinations are left out.
        design_spec: How combinations are made.
        agents: Name -> where the agent comes from. Agents may also be bound when running.
        problems: What is to be solved.
        evaluators: Name -> how answers are scored; each scores the answer to every problem.
        limits: Endpoint (its ``base_url``) -> what it lets one account do.
        prices: Model -> what it costs, where the price table does not know it.
        budget: What the study may spend.
        response_cache: A file that keeps the answers of chat models, for studies that repeat
            calls; none where not given.
        agent_specs: The agents that take part; where absent, all that are declared.
        problem_ids: The problems that take part; where absent, all that are declared.
        run_order: In which order runs are started.
        output_dir: Where results go; relative to the study file, or to the working directory.
        base_dir: The folder of the study file; relative paths start there.
    """

    study_id: Name
    title: Name
    description: Text = ""
    authors: tuple[Text, ...] = ()
    rationale: Text = ""
    tags: tuple[Text, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    factors: tuple[Factor, ...] = ()
    blocks: tuple[Block, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    design_spec: DesignSpec = DesignSpec()
    outcomes: tuple[Outcome, ...] = ()
    analysis_plans: tuple[AnalysisPlan, ...] = ()
    run_budget: RunBudget = RunBudget()
    seed_policy: SeedPolicy = SeedPolicy()
    run_order: RunOrder = RunOrder.BLOCKED
    output_dir: Path | None = None
    provenance_metadata: JsonMapping = EMPTY
    notes: Text = ""
    agents: Annotated[Mapping[Name, AgentDeclaration], BeforeValidator(_named_list)] = EMPTY
    problems: tuple[Problem, ...] = ()
    evaluators: Annotated[Mapping[Name, EvaluatorDeclaration], BeforeValidator(_named_list)] = EMPTY
    limits: Mapping[Name, EndpointLimits] = EMPTY
    prices: Mapping[Name, Price] = EMPTY
    budget: Budget = Budget()
    response_cache: Path | None = None
    problem_ids: tuple[Text, ...] = ()
    agent_specs: tuple[Text, ...] = ()
    base_dir: Path | None = Field(default=None, exclude=True, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        """Fill in what follows from the rest: where results go, who takes part."""
        if not isinstance(data, Mapping):
            return data

        filled = {**data}
        if filled.get("output_dir") is None and isinstance(filled.get("study_id"), str):
            filled["output_dir"] = Path("artifacts") / filled["study_id"]

        return filled

    @model_validator(mode="after")
    def _all_declared_take_part(self) -> Self:
        # The instance is not handed out yet: a frozen model is filled in through its __dict__.
        if not self.problem_ids:
            ids = tuple(problem.problem_id for problem in self.problems)
            self.__dict__["problem_ids"] = ids

        if not self.agent_specs:
            self.__dict__["agent_specs"] = tuple(self.agents)

        for mapping in ("agents", "evaluators", "limits", "prices"):
            self.__dict__[mapping] = FrozenDict(self.__dict__[mapping])

        return self

    def resolve(self, path: Path | str) -> Path:
        """Make a path of this study absolute: relative ones start at the study file's folder."""
        return (self.base_dir or Path.cwd()) / path

    def to_dict(self, *, problems: bool = True) -> dict[str, Any]:
        """Write the study as plain values, as a study file holds them.

        Args:
            problems: Whether the problems are written too; they may be many.

        Raises:
            UnstableValueError: a problem's payload holds an object that no file can hold.
        """
        payload = self.model_dump(mode="python", exclude=None if problems else {"problems"})
        return {"schema_version": SCHEMA_VERSION, **frozen_json(payload)}
