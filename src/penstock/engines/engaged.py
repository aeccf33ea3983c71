"""What a study needs to be run by workers; refused before anything is spent where it cannot be."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from typing import Any

from penstock.engines.boot import boot_of
from penstock.engines.dask import DaskEngine
from penstock.engines.engine import Engine
from penstock.engines.leasing import Leasing
from penstock.errors import ValidationError
from penstock.planning.plan import Plan
from penstock.running.binding import Bindings
from penstock.study.execution import Execution
from penstock.study.model import Study
from penstock.study.references import reference_to

__all__ = ["engaged"]

_ONLY_HERE = ("agent_bindings", "problem_registry", "conditions", "condition_runner")


def engaged(
    options: Mapping[str, Any],
    execution: Execution,
    plan: Plan,
    bindings: Bindings,
    *,
    stop: Callable[[str], None],
    announce: Callable[..., None],
) -> tuple[Leasing, Bindings]:
    """Have the attempts of a study made by the engine of the options, or by processes of its own.

    Args:
        options: The runner's.
        execution: How the study is carried out.
        plan: Its plan.
        bindings: What its names stand for.
        stop: Called with the reason when no worker can run the study.
        announce: Says events.

    Returns:
        What leases attempts to workers, and the bindings that open it with a session.

    Raises:
        ValidationError: the study cannot be run by workers; everything that is why.
    """
    engine: Engine | None = options["engine"]
    if errors := list(_errors(options, plan.study)):
        raise ValidationError(errors)

    if engine is None:
        engine = DaskEngine(workers=min(execution.workers or 1, max(1, len(plan))))

    isolate = options["isolate_random"]
    boot = boot_of(plan.study, plan, bindings, execution, isolate_random=isolate)
    leasing = Leasing(engine, boot, bindings.callers, stop, announce)
    return leasing, bindings._replace(resources=(*bindings.resources, leasing))


def _errors(options: Mapping[str, Any], study: Study) -> Iterator[str]:
    for name in _ONLY_HERE:
        if options[name] is not None:
            yield (
                f"{name} is of this process, and workers load a study by themselves; declare it "
                "in the study, or run without workers"
            )

    for what, code in _given_in_python(study):
        if not _is_imported(code):
            yield (
                f"the code of {what} ({reference_to(code)}) is of this process, and workers import "
                "it by themselves; write it into a file, under a name of its own, and declare that "
                "(`agents.py:solve`), or run without workers"
            )


def _given_in_python(study: Study) -> Iterator[tuple[str, Any]]:
    said = [
        *((f"agent {name!r}", agent.call) for name, agent in study.agents.items()),
        *((f"evaluator {name!r}", rule.call) for name, rule in study.evaluators.items()),
        *((f"problem {each.problem_id!r}", each.evaluator) for each in study.problems),
    ]
    return ((what, code) for what, code in said if not isinstance(code, str | None))


def _is_imported(code: Any) -> bool:
    """Return whether an import finds the very same object: no instance, closure or lambda."""
    module, _, name = reference_to(code).partition(":")
    try:
        found = reduce(getattr, name.split("."), sys.modules[module])
    except (AttributeError, KeyError):
        return False

    return found is code and module != "__main__"
