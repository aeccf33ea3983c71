"""Names that a study leaves open, looked up in the sibling packages where these are installed.

A study may name an agent of ``design_research_agents`` or a problem of
``design_research_problems`` as if it had declared it. Both packages are optional: each is imported
only for a name that nothing else stands for, and a study that declares all it names runs the same
whether they are installed or not.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from penstock.errors import BindingError
from penstock.study.problem import Problem

__all__ = ["find_agent", "find_problem", "where_else_agents", "where_else_problems"]

_AGENTS = "design_research_agents"
_PROBLEMS = "design_research_problems"


def find_agent(name: str) -> Any | None:
    """Give the public export of ``design_research_agents`` that has a name.

    Returns:
        The class or function; None where there is no such package, or nothing callable of that
        name in it. A class is not instantiated here: every run gets an instance of its own.

    Raises:
        BindingError: the package is there and cannot be imported.
    """
    package = _import(_AGENTS, f"agent {name!r}")
    if package is None or name not in getattr(package, "__all__", ()):
        return None

    try:
        found = getattr(package, name)
    except Exception as error:  # an export is imported when it is asked for
        raise _broken(f"agent {name!r}", _AGENTS, error) from error

    return found if callable(found) or callable(getattr(found, "run", None)) else None


def find_problem(problem_id: str) -> Problem | None:
    """Give the packaged problem of ``design_research_problems`` that has an id.

    Its payload holds the native object (``problem_object``), which agents receive as ``problem``;
    its answers are scored by the package.

    Returns:
        The problem; None where there is no such package, or no such problem in it.

    Raises:
        BindingError: the package is there and cannot be imported, or cannot load the problem.
    """
    integration = _import(f"{_PROBLEMS}.integration", f"problem {problem_id!r}")
    if integration is None:
        return None

    try:
        binding = integration.resolve_problem_binding(problem_id)
    except KeyError as error:
        if problem_id in str(error):
            return None  # how the package says that it has no such problem

        raise _broken(f"problem {problem_id!r}", _PROBLEMS, error) from error
    except Exception as error:  # a problem may need what is not installed
        raise _broken(f"problem {problem_id!r}", _PROBLEMS, error) from error

    return _problem(problem_id, binding, integration)


def where_else_agents() -> str:
    """Say for an error whether an agent could have come from the sibling package."""
    return _where_else(_AGENTS, "agent")


def where_else_problems() -> str:
    """Say for an error whether a problem could have come from the sibling package."""
    return _where_else(_PROBLEMS, "problem")


def _where_else(package: str, kind: str) -> str:
    if _is_installed(package):
        return f"{package} is installed and has no {kind} of that name either"

    return f"if it is one of the packaged {kind}s, install {package.replace('_', '-')}"


def _problem(problem_id: str, binding: Any, integration: ModuleType) -> Problem:
    def score(_answer: Any, outputs: Mapping[str, Any]) -> Any:
        # The package finds the answer in the outputs itself: given the answer alone, it would
        # look for an answer inside the answer.
        return integration.evaluate_problem_output(binding, outputs)

    return Problem(
        problem_id=problem_id,
        family=binding.family,
        brief=binding.brief,
        # The module comes first: it has no JSON form, which keeps the payload from being copied
        # into plain values, native object and all.
        payload={
            "_owner_problem_integration": integration,
            "_owner_problem_binding": binding,
            "problem_object": binding.problem_object,
        },
        metadata=binding.metadata,
        evaluator=score,
    )


def _import(module: str, wanted_for: str) -> ModuleType | None:
    package = module.partition(".")[0]
    if not _is_installed(package):
        return None

    try:
        return importlib.import_module(module)
    except Exception as error:  # importing runs the package's code
        raise _broken(wanted_for, package, error) from error


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ValueError:  # a module without a spec was put into sys.modules
        return True


def _broken(wanted_for: str, package: str, error: Exception) -> BindingError:
    return BindingError(
        f"{wanted_for} was looked up in {package}, which failed with "
        f"{type(error).__name__}: {error}; mend its installation, or declare what the name stands "
        "for in the study"
    )
