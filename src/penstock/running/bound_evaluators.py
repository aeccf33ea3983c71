"""What scores the answers to each problem: its own evaluator, then those of the study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from penstock._base.extras import load_extra
from penstock._base.threads import WorkerThreads
from penstock.evaluators.builtin import bind_built_in, expected_errors
from penstock.evaluators.functions import bind_evaluator, bind_problem_evaluator
from penstock.evaluators.labels import bind_labels
from penstock.evaluators.port import BoundEvaluator
from penstock.evaluators.rules import RuledEvaluator, rule_of, rule_of_problem
from penstock.running.lookup import find_all, load_named
from penstock.study.chat import JudgeOptions
from penstock.study.model import Study
from penstock.study.problem import Problem

if TYPE_CHECKING:
    from penstock.models.declared import DeclaredModels

__all__ = ["bind_evaluators", "taking_long"]


def bind_evaluators(
    study: Study,
    problems: Mapping[str, Problem],
    models: DeclaredModels | None,
    errors: list[str],
) -> dict[str, tuple[BoundEvaluator, ...]]:
    """Bind the evaluators of each problem: its own, then the study's in their declared order."""
    # Evaluators that are plain functions run in threads, and not at the cost of agents.
    threads = WorkerThreads()
    found = find_all(
        (name for name, each in study.evaluators.items() if models is not None or not each.judge),
        lambda name: _bind_declared_evaluator(study, name, models, threads),
        errors,
    )
    for name, declared in study.evaluators.items():
        errors += expected_errors(name, declared, problems.values())

    own = find_all(
        problems, lambda name: _bind_own_evaluator(study, problems[name], threads), errors
    )
    shared = tuple(found.values())
    return {name: (*evaluators, *shared) for name, evaluators in own.items()}


def taking_long(study: Study, problems: Iterable[Problem]) -> frozenset[str]:
    """Name the problems whose answers are saved before they are scored."""
    do_all = any(each.call is not None or each.judge for each in study.evaluators.values())
    return frozenset(each.problem_id for each in problems if do_all or each.evaluator is not None)


def _bind_declared_evaluator(
    study: Study, name: str, models: DeclaredModels | None, threads: WorkerThreads
) -> BoundEvaluator:
    declared, function = study.evaluators[name], None
    if declared.call is not None:
        function = load_named(study, "evaluator", name, declared.call)
        evaluate = bind_evaluator(name, function, threads)
    elif declared.labels is not None:
        function = study.resolve(declared.labels.file)
        evaluate = bind_labels(name, declared.labels, function)
    elif declared.judge is None or models is None:
        evaluate = bind_built_in(name, declared, threads)
    else:
        evaluate = _bind_judge(name, declared.judge, models, threads)

    rule = rule_of(name, declared, function, study.base_dir, study.models)
    is_quick = declared.call is None and declared.judge is None
    return RuledEvaluator(rule, evaluate, is_quick)


def _bind_judge(
    name: str, options: JudgeOptions, models: DeclaredModels, threads: WorkerThreads
) -> BoundEvaluator:
    judges = load_extra("penstock.evaluators.judge", extra="models", what=f"evaluator {name!r}")
    judge: BoundEvaluator = judges.bind_judge(name, options, models, threads)
    return judge


def _bind_own_evaluator(
    study: Study, problem: Problem, threads: WorkerThreads
) -> tuple[BoundEvaluator, ...]:
    evaluator = problem.evaluator
    if evaluator is None:
        return ()

    if isinstance(evaluator, str):
        evaluator = load_named(study, "the evaluator of problem", problem.problem_id, evaluator)

    rule = rule_of_problem(evaluator, study.base_dir)
    return (RuledEvaluator(rule, bind_problem_evaluator(evaluator, threads)),)
