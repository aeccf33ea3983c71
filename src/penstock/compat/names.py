"""The names that the runner before this one had, and the functions that only it had."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from penstock.agents.condition_runner import ConditionRunner, RunOutput
from penstock.designs import build_design, generate_doe
from penstock.errors import ValidationError
from penstock.export.artifacts import export_artifacts
from penstock.export.validation import validate_canonical_artifacts
from penstock.planning.plan import RunSpec
from penstock.planning.validation import validate_study
from penstock.results import RunResult
from penstock.run import resume_study, run_study
from penstock.running.finding import find_problem
from penstock.store.lock import hold_directory
from penstock.store.reader import StoreReader
from penstock.study.conditions import Condition
from penstock.study.factors import Block, Constraint, Factor, FactorKind, Level
from penstock.study.files import load_study
from penstock.study.hypotheses import AnalysisPlan, Hypothesis
from penstock.study.hypotheses import Outcome as OutcomeSpec
from penstock.study.model import Study
from penstock.study.policies import DesignKind, DesignSpec, RunBudget, SeedPolicy
from penstock.study.problem import Problem as ProblemPacket

__all__ = [
    "AnalysisPlan",
    "Block",
    "Condition",
    "ConditionRunner",
    "Constraint",
    "DesignKind",
    "DesignSpec",
    "Factor",
    "FactorKind",
    "Hypothesis",
    "Level",
    "OutcomeSpec",
    "ProblemPacket",
    "RunBudget",
    "RunOutput",
    "RunResult",
    "RunSpec",
    "SeedPolicy",
    "Study",
    "__version__",
    "agent_result",
    "build_design",
    "export_analysis_tables",
    "generate_doe",
    "load_study",
    "materialize_conditions",
    "resolve_problem",
    "resume_study",
    "run_study",
    "validate_canonical_artifacts",
    "validate_study",
]

__version__ = version("penstock")

_ANALYSIS = "design_research_analysis.integration"


def agent_result(
    output: Mapping[str, Any] | str | None = None,
    *,
    metrics: Mapping[str, Any] | None = None,
    events: Iterable[Mapping[str, Any]] = (),
    metadata: Mapping[str, Any] | None = None,
    trace_refs: Iterable[str] = (),
) -> dict[str, Any]:
    """Build the mapping that an agent may return; `penstock.AgentResult` says the same.

    Args:
        output: The answer; text becomes ``{"text": output}``.
        metrics: What was measured.
        events: What happened inside, as mappings with the columns of ``events.csv``.
        metadata: Who answered.
        trace_refs: Files with the agent's own traces.
    """
    return {
        "output": {"text": output} if isinstance(output, str) else dict(output or {}),
        "metrics": dict(metrics or {}),
        "events": [dict(event) for event in events],
        "metadata": dict(metadata or {}),
        "trace_refs": [str(ref) for ref in trace_refs],
    }


def resolve_problem(
    problem_spec_ref: Any, *, registry: Mapping[str, Any] | None = None
) -> ProblemPacket:
    """Find the problem that something stands for, as it is found when a study is bound.

    Args:
        problem_spec_ref: A problem, a mapping with the fields of one, or a name.
        registry: Problems by name; a name that is not in it is looked up in
            ``design_research_problems`` where that is installed.

    Raises:
        BindingError: nothing is known by that name.
    """
    if isinstance(problem_spec_ref, str):
        return find_problem(registry or {}, problem_spec_ref)

    name = "problem"
    if isinstance(problem_spec_ref, Mapping):
        name = problem_spec_ref.get("problem_id", name)

    return find_problem({name: problem_spec_ref}, name)


def materialize_conditions(
    factors: Study | Sequence[Factor],
    blocks: Sequence[Block] | None = None,
    constraints: Sequence[Constraint] | None = None,
    *,
    seed: int | None = None,
    randomize: bool = False,
    counterbalance: bool = False,
) -> list[Condition]:
    """Combine all levels of factors and blocks, inadmissible combinations included.

    Args:
        factors: The factors, or a study, whose blocks, constraints and seed are meant where none
            are given.
        blocks: What every combination is crossed with.
        constraints: Which combinations are inadmissible.
        seed: Of a random order.
        randomize: Shuffle the conditions.
        counterbalance: Interleave the conditions with their reverse.

    Raises:
        ValidationError: the design cannot be built.
    """
    study = factors if isinstance(factors, Study) else None
    seed_policy = SeedPolicy() if study is None else study.seed_policy
    crossed = Study(
        study_id="conditions",
        title="conditions",
        factors=tuple(factors) if study is None else study.factors,
        blocks=tuple(blocks or ()) if study is None or blocks else study.blocks,
        constraints=tuple(constraints or ()) if study is None or constraints else study.constraints,
        design_spec=DesignSpec(randomize=randomize, counterbalance=counterbalance),
        seed_policy=seed_policy if seed is None else SeedPolicy(base_seed=seed),
        base_dir=None if study is None else study.base_dir,
    )
    return build_design(crossed)


def export_analysis_tables(
    study: Study,
    *,
    conditions: Sequence[Condition] | None = None,  # noqa: ARG001 - the store has them
    run_results: Sequence[RunResult] | None = None,  # noqa: ARG001 - and these
    output_dir: Path | str | None = None,
    include_sqlite: bool = False,  # noqa: ARG001 - it is where they are read from
    validate_with_analysis_package: bool = False,
) -> dict[str, Path]:
    """Write a study's files again from the store in its output directory.

    Args:
        study: The study.
        conditions: Accepted for those who move over.
        run_results: Accepted for those who move over.
        output_dir: The output directory, where it is not the study's own.
        include_sqlite: Accepted for those who move over; ``study.sqlite`` is always there.
        validate_with_analysis_package: Let ``design_research_analysis`` check the tables that
            analyses read (the folder ``analysis``).

    Returns:
        File name -> file.

    Raises:
        StoreError: there is no store in the directory.
        DirectoryInUseError: a study is running in it.
        ValidationError: the files are not as they should be.
    """
    directory = study.resolve(output_dir or study.output_dir or ".")
    StoreReader(directory).close()  # before anything is written: is there a study at all?
    with hold_directory(directory):
        export_artifacts(directory)

    errors = validate_canonical_artifacts(directory)
    if validate_with_analysis_package and not errors:
        errors = _errors_of_analysis(directory / "analysis")

    if errors:
        raise ValidationError(errors)

    return {path.name: path for path in sorted(directory.iterdir()) if path.suffix in _TABLES}


_TABLES = frozenset({".csv", ".json", ".yaml"})


def _errors_of_analysis(directory: Path) -> list[str]:
    try:
        analysis = importlib.import_module(_ANALYSIS)
    except ImportError as error:
        needed = "validate_with_analysis_package needs design-research-analysis"
        return [f"{needed}, which cannot be imported: {error}"]

    found = analysis.validate_experiment_events(directory)
    return [] if found.is_valid else [str(error) for error in found.errors]
