"""The study: everything that is declared before anything runs, as one frozen value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

import pydantic
from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from penstock._base.fact import EMPTY, Declaration, JsonMapping, Name, Text, Whole
from penstock._base.frozen import FrozenDict, frozen_json
from penstock._base.pydantic_errors import sentences_of
from penstock.errors import ValidationError
from penstock.study.chat import Model, names_in
from penstock.study.declarations import AgentDeclaration, EvaluatorDeclaration, declared_chats
from penstock.study.execution import Execution
from penstock.study.factors import Block, Constraint, Factor
from penstock.study.hypotheses import AnalysisPlan, Hypothesis, Outcome
from penstock.study.legacy import drop_schema_version
from penstock.study.policies import KEPT, DesignSpec, RunBudget, RunOrder, SeedPolicy
from penstock.study.problem import Problem
from penstock.study.spending import Budget, EndpointLimits, Price
from penstock.study.study_html import study_html

__all__ = ["SCHEMA_VERSION", "Study"]

SCHEMA_VERSION = "0.2.0"
"""The version of the study file and of the artifacts."""


def _named_list(data: Any) -> Any:
    """Convert a list to a mapping: ``[exact]`` is ``{exact: exact}``; a function names itself."""
    if not isinstance(data, (list, tuple)):
        return data

    names = [item if isinstance(item, str) else getattr(item, "__name__", None) for item in data]
    if None in names or len({*names}) < len(names):
        return data

    return dict(zip(names, data, strict=True))


class Study(Declaration):
    """A study as its author declares it, in Python or in a ``study.yaml``.

    Args:
        study_id: Names the study; it enters every run's id and seed.
        factors: What is varied. Every combination of levels is a condition.
        blocks: Groups that every combination is crossed with.
        constraints: Which combinations are left out.
        design_spec: How combinations are made.
        replicates: Runs of each condition x agent x problem.
        max_runs: The most runs the plan may hold; a larger plan is an error before anything runs.
        run_budget: An older place of ``replicates``, ``max_runs``, and two fields of
            ``execution``; where a field is said in both places, they must agree.
        execution: How the study is carried out; what Python or the command line says comes first.
        models: Name -> a chat model that agents and judges ask for by that name.
        agents: Name -> where the agent comes from, in Python also the agent itself. Agents may
            be bound when running as well.
        problems: What is to be solved.
        evaluators: Name -> how answers are scored, in Python also the function that does it;
            each scores the answer to every problem.
        limits: Endpoint (its ``base_url``) -> what it lets one account do.
        prices: Model -> what it costs, where the price table does not know it.
        budget: What the study may spend.
        response_cache: A file that keeps the answers of chat models, for studies that repeat
            calls; none where not given.
        agent_specs: The agents that take part; where absent, all that are declared.
        problem_ids: The problems that take part; where absent, all that are declared.
        subscribers: Who hears the study, beside those given when it is run: ``module:attr``,
            ``file.py:attr``, or a name that an installed package registers
            (``penstock.subscribers``).
        run_order: In which order runs are started.
        blind: Whether what conditions came to is withheld until every planned run has ended, where
            the study declares hypotheses.
        output_dir: Where results go; relative to the study file, or to the working directory.
        base_dir: The folder of the study file; relative paths start there.
        study_file: The file that it was read from; None for a study made in Python.
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
    replicates: Whole = Field(default=1, exclude=True)
    max_runs: Whole | None = Field(default=None, exclude=True)
    run_budget: RunBudget = RunBudget()
    execution: Execution = Execution()
    seed_policy: SeedPolicy = SeedPolicy()
    run_order: RunOrder = RunOrder.BLOCKED
    blind: bool = True
    output_dir: Path | None = None
    provenance_metadata: JsonMapping = EMPTY
    notes: Text = ""
    models: Mapping[Name, Model] = EMPTY
    agents: Annotated[Mapping[Name, AgentDeclaration], BeforeValidator(_named_list)] = EMPTY
    problems: tuple[Problem, ...] = ()
    evaluators: Annotated[Mapping[Name, EvaluatorDeclaration], BeforeValidator(_named_list)] = EMPTY
    limits: Mapping[Name, EndpointLimits] = EMPTY
    prices: Mapping[Name, Price] = EMPTY
    budget: Budget = Budget()
    response_cache: Path | None = None
    problem_ids: tuple[Text, ...] = ()
    agent_specs: tuple[Text, ...] = ()
    subscribers: tuple[Name, ...] = ()
    base_dir: Path | None = Field(default=None, exclude=True, repr=False)
    study_file: Path | None = Field(default=None, exclude=True, repr=False)

    @model_validator(mode="before")
    @classmethod
    def _is_of_a_known_schema(cls, data: Any) -> Any:
        """Check the schema version, so that ``Study(**study.to_dict())`` is the same study."""
        if not isinstance(data, Mapping) or "schema_version" not in data:
            return data

        fields = dict(data)
        if errors := drop_schema_version(fields):
            raise ValueError(*errors)

        return fields

    @field_validator("replicates", "max_runs")
    @classmethod
    def _at_least_one(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and value < 1:
            raise ValueError(f"Study.{info.field_name} must be >= 1.")

        return value

    @model_validator(mode="after")
    def _fill_in(self) -> Self:
        """Fill in what follows from the rest: where results go, who takes part, older names."""
        # The instance is not handed out yet: a frozen model is filled in through its __dict__,
        # which leaves `model_fields_set` with what the author said.
        filled = self.__dict__
        if self.output_dir is None:
            filled["output_dir"] = Path("artifacts") / self.study_id

        if not self.problem_ids:
            filled["problem_ids"] = tuple(problem.problem_id for problem in self.problems)

        if not self.agent_specs:
            filled["agent_specs"] = tuple(self.agents)

        for mapping in ("models", "agents", "evaluators", "limits", "prices"):
            filled[mapping] = FrozenDict(filled[mapping])

        filled["run_budget"] = self.run_budget.model_copy()
        filled["execution"] = self.execution.model_copy()
        _refuse(self, [*_agree_on_older_names(self), *_unknown_models(self)])
        return self

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return the study with some fields changed; what follows from them is filled in anew.

        Without its agents or problems a study still names them, to be bound when it is run.

        Args:
            update: Field -> new value; checked as where a study is made.
            deep: Whether what the study holds is copied too.

        Raises:
            penstock.ValidationError: a new value is not valid.
        """
        copy = super().model_copy(deep=deep)
        if not update:
            return copy

        said = {name: getattr(copy, name) for name in self.model_fields_set}
        for declared, names in (("agents", "agent_specs"), ("problems", "problem_ids")):
            if declared in update and not update[declared]:  # then they are bound when it is run
                said[names] = getattr(copy, names)

        return type(self)(**{**said, **update})

    @classmethod
    def kept(cls, definition: Mapping[str, Any]) -> Self:
        """Read a study as it was kept with its results; a package it named may be gone since.

        Args:
            definition: What `to_dict` wrote, with the problems, and without ``schema_version``.

        Raises:
            penstock.ValidationError: it is not a study.
        """
        try:
            return cls.model_validate(definition, context=KEPT)
        except pydantic.ValidationError as error:
            raise ValidationError([*sentences_of(error, cls)]) from error

    def _repr_html_(self) -> str:
        agents = ", ".join(dict.fromkeys((*self.agents, *self.agent_specs))) or "none declared"
        problems = len(self.problem_ids) or len(self.problems)
        shape = f"{problems:,} problems, {self.replicates:,} replicates, {self.run_order} order"
        varied: tuple[Factor | Block, ...] = (*self.factors, *self.blocks)
        lines = (self.title, f"agents: {agents}", shape)
        return study_html(self.study_id, lines, varied, self.outcomes, self.hypotheses)

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
        payload = self.model_dump(
            mode="python", exclude={"execution"} if problems else {"execution", "problems"}
        )
        for newer in ("subscribers", "models"):  # older readers know nothing of them
            if not getattr(self, newer):
                del payload[newer]

        if self.blind:
            del payload["blind"]

        for section, unsaid in _UNSAID.items():
            for each in payload[section]:
                for name in [name for name, value in unsaid.items() if each[name] == value]:
                    del each[name]

        # What stands in `run_budget`, where older readers look for it, is not written twice.
        execution = self.execution.model_dump(
            mode="python", exclude={"concurrency", "fail_fast"}, exclude_defaults=True
        )
        if execution:
            payload["execution"] = execution

        return {"schema_version": SCHEMA_VERSION, **frozen_json(payload)}


_UNSAID: dict[str, dict[str, Any]] = {
    "analysis_plans": {"generalize_to": "population", "expected_variance": None},
    "outcomes": {"better": None, "unit": "", "order": ()},
}
"""Fields that older readers know nothing of: written where they say something."""


class _Renamed(NamedTuple):
    """A field that `RunBudget` holds too, under an older name."""

    section: str
    """The section it is in now; empty for the top of the study."""

    name: str
    older: str

    def newer_in(self, study: Study) -> Declaration:
        """Return what holds the field now."""
        return study.execution if self.section else study

    @property
    def place(self) -> tuple[str, ...]:
        """Where the field stands now."""
        return (self.section, self.name) if self.section else (self.name,)


_RENAMED = (
    _Renamed("", "replicates", "replicates"),
    _Renamed("", "max_runs", "max_runs"),
    _Renamed("execution", "concurrency", "parallelism"),
    _Renamed("execution", "fail_fast", "fail_fast"),
)


def _refuse(study: Study, errors: list[InitErrorDetails]) -> None:
    if errors:
        raise pydantic.ValidationError.from_exception_data(type(study).__name__, errors)


def _agree_on_older_names(study: Study) -> Iterator[InitErrorDetails]:
    """Set every field that has two names to one value, whichever name it was given under.

    Where both were given, and differ, that is an error.
    """
    for field in _RENAMED:
        newer, older = field.newer_in(study), study.run_budget
        value, older_value = getattr(newer, field.name), getattr(older, field.older)
        is_said = field.name in newer.model_fields_set
        if field.older not in older.model_fields_set:
            older.__dict__[field.older] = value
        elif not is_said:
            newer.__dict__[field.name] = older_value
        elif value != older_value:
            said = f"is {value}, and `run_budget.{field.older}`, its older place, is {older_value}"
            yield _error(field.place, f"{said}; give one of them")

    if study.execution.fail_fast and study.execution.max_failures:  # said in two sections
        said = "`fail_fast` means `max_failures: 0`; give one of them"
        yield _error(("execution", "max_failures"), said)


def _unknown_models(study: Study) -> Iterator[InitErrorDetails]:
    """Yield which agents and judges name a model that the study does not declare."""
    for place, options in declared_chats(study.agents, study.evaluators):
        try:
            names_in(options, study.models)
        except ValueError as error:
            yield _error((*place, "model"), str(error))


def _error(place: tuple[str, ...], said: str) -> InitErrorDetails:
    error = PydanticCustomError("value_error", "{said}", {"said": said})
    return {"type": error, "loc": place, "input": None}
