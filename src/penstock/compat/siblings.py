"""The resolver of the sibling packages: names that a study leaves open (`penstock.resolvers`).

A study may name an agent of ``design_research_agents`` or a problem of
``design_research_problems`` as if it had declared it. Both packages are optional: each is imported
only for a name that nothing else stands for, and a study that declares all it names runs the same
whether they are installed or not.

The module itself is the resolver (see `penstock.study.resolvers.Resolver`).
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from penstock.errors import BindingError
from penstock.study.problem import Problem
from penstock.study.resolvers import Kind

__all__ = ["find", "where_else"]

_AGENTS = "design_research_agents"
_PROBLEMS = "design_research_problems"


def find(kind: Kind, name: str) -> Any | None:
    """Return what a sibling package has under a name.

    Args:
        kind: What is looked for.
        name: A public export of ``design_research_agents``, or the id of a problem of
            ``design_research_problems``.

    Returns:
        The agent's class or function, or the problem; None where there is no such package, or
        nothing of that name in it.

    Raises:
        BindingError: the package is there and cannot be imported, or cannot load the problem.
    """
    return _find_agent(name) if kind == "agent" else _find_problem(name)


def where_else(kind: Kind) -> str:
    """Return, for an error, whether a name could have come from a sibling package."""
    package = _AGENTS if kind == "agent" else _PROBLEMS
    if _is_installed(package):
        return f"{package} is installed and has no {kind} of that name either"

    return f"if it is one of the packaged {kind}s, install {package.replace('_', '-')}"


def _find_agent(name: str) -> Any | None:
    """Return a public export; a class is not instantiated: every run gets its own instance."""
    package = _import(_AGENTS, f"agent {name!r}")
    if package is None or name not in getattr(package, "__all__", ()):
        return None

    try:
        found = getattr(package, name)
    except Exception as error:  # an export is imported when it is asked for
        raise _broken(f"agent {name!r}", _AGENTS, error) from error

    return found if callable(found) or callable(getattr(found, "run", None)) else None


def _find_problem(problem_id: str) -> Problem | None:
    """Return a packaged problem.

    Its payload holds the native object (``problem_object``), which agents receive as ``problem``;
    its answers are scored by the package.
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
    package, _, part = module.partition(".")
    try:
        return importlib.import_module(module)
    except Exception as error:  # importing runs the package's code
        if not _is_installed(package):
            return None

        if isinstance(error, ModuleNotFoundError) and error.name == module != package:
            raise BindingError(
                f"{wanted_for} was looked up in {package}, which does not expose the "
                f"package-owned `{part}` module: it is too old; upgrade it with "
                f"`pip install --upgrade {package.replace('_', '-')}`"
            ) from error

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
