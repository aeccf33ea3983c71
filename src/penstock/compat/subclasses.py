"""What a study declares, with the members it had, its fields by position as well.

Each is one of penstock's own with more members: whatever takes penstock's takes these, and what
either comes to (ids, seeds, files) is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator

from penstock._base.atomic_files import set_aside
from penstock._base.fact import Declared
from penstock._base.json import encode
from penstock._base.yaml_text import yaml_text
from penstock.errors import PenstockError, ValidationError
from penstock.study import conditions, factors, files, hypotheses, model, policies, problem
from penstock.study.identity import stable_json_dumps
from penstock.study.legacy import drop_legacy_keys, with_older_defaults

__all__ = [
    "AnalysisPlan",
    "Block",
    "Condition",
    "Constraint",
    "Contrast",
    "DesignSpec",
    "Factor",
    "Hypothesis",
    "InOrder",
    "Level",
    "Mediator",
    "Moderator",
    "OutcomeSpec",
    "ProblemPacket",
    "RunBudget",
    "SeedPolicy",
    "Study",
    "as_older",
    "load_study",
]


class InOrder(Declared):
    """Takes the fields of a fact by position too, in the order in which its class has them."""

    def __call__(cls: Any, *values: Any, **fields: Any) -> Any:  # noqa: D102, N805 - of classes
        if len(values) > len(cls.model_fields):
            raise TypeError(f"{cls.__name__} has {len(cls.model_fields)} fields, not {len(values)}")

        return super().__call__(**dict(zip(cls.model_fields, values, strict=False)), **fields)


def as_older(kind: type[BaseModel]) -> Callable[[Any], Any]:
    """Make penstock's own facts, which a file or a library gives, into those that have more."""

    def more(fact: Any) -> Any:
        is_its_own = isinstance(fact, kind.__base__ or kind) and not isinstance(fact, kind)
        return kind(**_said(fact)) if is_its_own else fact

    return more


def _said(fact: BaseModel) -> dict[str, Any]:
    return {name: getattr(fact, name) for name in fact.model_fields_set}


class Level(factors.Level, metaclass=InOrder):
    """One value a factor can take."""


class Factor(factors.Factor, metaclass=InOrder):
    """A variable of the design."""

    def iter_values(self) -> tuple[Any, ...]:
        """Return the values of the levels, or the default where there are none."""
        return self.values()


class Block(factors.Block, metaclass=InOrder):
    """A variable that groups runs."""


class Constraint(factors.Constraint, metaclass=InOrder):
    """A rule over factors and blocks."""

    def evaluate(self, factors: Mapping[str, Any], blocks: Mapping[str, Any]) -> bool:
        """Return whether an assignment keeps the rule.

        Raises:
            ValidationError: the rule cannot be evaluated.
        """
        try:
            return all(test(factors, blocks) for test in conditions.rules_of(self))
        except (PenstockError, ImportError, AttributeError, TypeError) as error:
            raise ValidationError(f"Constraint '{self.constraint_id}': {error}") from error


class Condition(conditions.Condition, metaclass=InOrder):
    """One treatment combination."""


class DesignSpec(policies.DesignSpec, metaclass=InOrder):
    """Which design combines the factors, and its options."""


class RunBudget(policies.RunBudget, metaclass=InOrder):
    """How many runs, how many at once, and when to give up."""


class Contrast(hypotheses.Contrast, metaclass=InOrder):
    """Two levels or groups that a hypothesis compares."""


class Moderator(hypotheses.Moderator, metaclass=InOrder):
    """A variable that is claimed to change the size of an effect."""


class Mediator(hypotheses.Mediator, metaclass=InOrder):
    """A variable through which an effect is claimed to work."""


class Hypothesis(hypotheses.Hypothesis, metaclass=InOrder):
    """A claim made before the study runs."""


class AnalysisPlan(hypotheses.AnalysisPlan, metaclass=InOrder):
    """Which tests will be run on which hypotheses, decided before the data are seen."""


class OutcomeSpec(hypotheses.Outcome, metaclass=InOrder):
    """What is measured: a column of a result table, and how it is aggregated."""


class ProblemPacket(problem.Problem, metaclass=InOrder):
    """One problem: what an agent is told of it, and how its answer is scored."""


class SeedPolicy(policies.SeedPolicy, metaclass=InOrder):
    """How each run gets its own seed."""

    def derive_seed(self, study_id: str, condition_id: str, replicate: int, salt: str = "") -> int:
        """Derive a seed, a whole number in [0, 2**31 - 1).

        Args:
            study_id: The study.
            condition_id: The condition.
            replicate: Which repetition, from 1.
            salt: ``agent:problem`` gives the seed of that run.
        """
        hashed = self.model_dump(mode="json") | {
            "study_id": study_id,
            "condition_id": condition_id,
            "replicate": replicate,
            "salt": salt,
        }
        return int(sha256(stable_json_dumps(hashed).encode()).hexdigest()[:16], 16) % (2**31 - 1)


class Study(model.Study):
    """A study, which can be written to a file and read back, and be told where its results go.

    Of all that is declared ``output_dir`` alone may be assigned: it enters no id.
    """

    factors: tuple[Annotated[Factor, BeforeValidator(as_older(Factor))], ...] = ()
    constraints: tuple[Annotated[Constraint, BeforeValidator(as_older(Constraint))], ...] = ()
    seed_policy: Annotated[SeedPolicy, BeforeValidator(as_older(SeedPolicy))] = SeedPolicy()

    __hash__ = model.Study.__hash__

    def __eq__(self, other: object) -> bool:
        """Return whether another study, of this class or penstock's own, declares the same."""
        return isinstance(other, model.Study) and self.model_dump() == other.model_dump()

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "output_dir":
            super().__setattr__(name, value)

        self.__dict__["output_dir"] = Path(value)

    @property
    def primary_outcomes(self) -> tuple[str, ...]:
        """The names of the outcomes that are primary."""
        return tuple(outcome.name for outcome in self.outcomes if outcome.primary)

    @property
    def secondary_outcomes(self) -> tuple[str, ...]:
        """The names of the other outcomes."""
        return tuple(outcome.name for outcome in self.outcomes if not outcome.primary)

    def to_dict(self, *, problems: bool = True) -> dict[str, Any]:
        """Write the study as plain values that may be changed, as a study file holds them."""
        return with_older_defaults(_thawed(super().to_dict(problems=problems)))

    @classmethod
    def of(cls, study: model.Study) -> Self:
        """Return a study of penstock's own as one that has these members."""
        return study if isinstance(study, cls) else cls(**_said(study))

    @classmethod
    def from_dict(cls, payload: Mapping[str, Any]) -> Self:
        """Read a study from plain values, those of older study files too.

        Raises:
            ValidationError: everything that is wrong with it.
        """
        declared = deepcopy(dict(payload))
        if errors := drop_legacy_keys(declared):
            raise ValidationError(errors)

        return cls(**declared)

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Read a study file; see `penstock.load_study`."""
        return cls.of(files.load_study(path))

    @classmethod
    def from_json(cls, path: str | Path) -> Self:
        """Read a study file; see `penstock.load_study`."""
        return cls.from_yaml(path)

    def to_yaml(self, path: str | Path) -> Path:
        """Write the study as YAML, and return the path of the file."""
        return _written(Path(path), yaml_text(self.to_dict()))

    def to_json(self, path: str | Path) -> Path:
        """Write the study as JSON, and return the path of the file."""
        return _written(Path(path), f"{encode(self.to_dict())}\n")


def _thawed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _thawed(item) for name, item in value.items()}

    return [_thawed(item) for item in value] if isinstance(value, list) else value


def load_study(path: str | Path) -> Study:
    """Read a study file; see `penstock.load_study`."""
    return Study.from_yaml(path)


def _written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with set_aside(path) as aside:
        aside.write_text(text, encoding="utf-8")

    return path
