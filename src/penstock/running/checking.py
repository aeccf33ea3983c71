"""Checking: the one place that decides whether a study can be run as it is declared.

`check`, `plan`, `run` and its dry run all ask here, so what one of them refuses all of them refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from penstock._base.fact import Fact
from penstock.agents.condition_runner import ConditionRunner
from penstock.errors import ValidationError
from penstock.models.calls.elsewhere import CallsElsewhere
from penstock.planning.doubts import study_doubts
from penstock.planning.plan import Plan
from penstock.planning.validation import planned_or_errors
from penstock.running.binding import Bindings, bind, bind_standalone, bind_subscribers
from penstock.study.conditions import Condition
from penstock.study.model import Study

__all__ = ["CheckReport", "Prepared", "check", "doubts_of", "prepare"]


class CheckReport(Fact):
    """What was found when a study was checked; nothing was run and nothing was written.

    Args:
        study_id: The study.
        errors: Everything that keeps the study from being run, a sentence each.
        warnings: What can be run and is probably not meant, a sentence each.
        planned: How many runs the plan holds; 0 where there is no plan.
        done: How many of them have a result that is kept.
    """

    study_id: str
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    planned: int = 0
    done: int = 0

    @property
    def left(self) -> int:
        """Runs that a session would make."""
        return self.planned - self.done

    @property
    def is_valid(self) -> bool:
        """Whether the study can be run."""
        return not self.errors


class Prepared(NamedTuple):
    """A study that was checked, and what was made on the way."""

    report: CheckReport
    plan: Plan | None
    bindings: Bindings

    def ready(self) -> tuple[Plan, Bindings]:
        """Return the plan and the bindings of a study that can be run.

        Raises:
            ValidationError: it cannot; everything that is wrong.
        """
        if self.plan is None or self.report.errors:
            raise ValidationError(self.report.errors)

        return self.plan, self.bindings


def check(
    study: Study,
    *,
    conditions: Sequence[Condition] | None = None,
    agent_bindings: Mapping[str, Any] | None = None,
    problem_registry: Mapping[str, Any] | None = None,
    condition_runner: ConditionRunner | None = None,
    count_done: Callable[[Plan], int] | None = None,
) -> CheckReport:
    """Check whether a study can be run: plan it, load everything it names, fill in its templates.

    The study's own code is imported; nothing of it is called, and nothing is written.

    Args:
        study: The declared study.
        conditions: Conditions to use in place of those the study's design makes.
        agent_bindings: Agents by name, beside those the study declares.
        problem_registry: Problems by id, beside those the study declares.
        condition_runner: A function that does each run in place of agents and problems.
        count_done: Told the plan, returns how many of its runs have a result that is kept.
    """
    prepared = prepare(
        study,
        conditions=conditions,
        agent_bindings=agent_bindings,
        problem_registry=problem_registry,
        condition_runner=condition_runner,
    )
    if prepared.plan is None or count_done is None:
        return prepared.report

    return prepared.report.model_copy(update={"done": count_done(prepared.plan)})


def doubts_of(study: Study, plan: Plan, bindings: Bindings) -> tuple[str, ...]:
    """Return what a study can be run with and probably does not mean, a sentence each."""
    return (*study_doubts(study, plan), *bindings.doubts)


def prepare(
    study: Study,
    *,
    conditions: Sequence[Condition] | None = None,
    agent_bindings: Mapping[str, Any] | None = None,
    problem_registry: Mapping[str, Any] | None = None,
    condition_runner: ConditionRunner | None = None,
    isolate_random: bool = True,
    elsewhere: CallsElsewhere | None = None,
) -> Prepared:
    """Plan a study and bind what it names, and report everything that is wrong with either.

    Args:
        study: The declared study.
        conditions: Conditions to use in place of those the study's design makes.
        agent_bindings: Agents by name; they come before those the study declares.
        problem_registry: Problems by id; they come before those the study declares.
        condition_runner: Runs a condition as a whole, without agents and problems.
        isolate_random: Whether runs have global random generators of their own.
        elsewhere: Has calls of models made by another process, where this one is a worker.
    """
    plan, errors = planned_or_errors(study, conditions, standalone=condition_runner is not None)
    if condition_runner is not None:
        bindings, unbound = bind_standalone(condition_runner, isolate_random=isolate_random)
    else:
        bindings, unbound = bind(
            study,
            plan,
            agents=agent_bindings or {},
            problems=problem_registry or {},
            isolate_random=isolate_random,
            elsewhere=elsewhere,
        )

    subscribers, unheard = bind_subscribers(study)
    report = CheckReport(
        study_id=study.study_id,
        errors=tuple(dict.fromkeys([*errors, *unbound, *unheard])),  # planning finds some twice
        warnings=tuple(bindings.doubts) if plan is None else doubts_of(study, plan, bindings),
        planned=0 if plan is None else len(plan),
    )
    return Prepared(report, plan, bindings._replace(subscribers=subscribers))
