"""Lookup: what the names of agents, problems and evaluators stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from penstock._base.entry_points import load_entry_point
from penstock.errors import BindingError, PenstockError, ValidationError
from penstock.events.bus import Subscriber
from penstock.events.listening import subscription_of
from penstock.study.declarations import EVALUATOR_GROUP
from penstock.study.model import Study
from penstock.study.problem import Problem
from penstock.study.references import load_reference
from penstock.study.resolvers import find_agent as find_packaged_agent
from penstock.study.resolvers import find_problem as find_packaged_problem
from penstock.study.resolvers import where_else

__all__ = [
    "SUBSCRIBER_GROUP",
    "find_agent",
    "find_all",
    "find_problem",
    "find_subscriber",
    "load_named",
]

Found = TypeVar("Found")

SUBSCRIBER_GROUP = "penstock.subscribers"
"""Where installed packages register subscribers: name -> the coroutine function."""


def find_agent(study: Study, bound: Mapping[str, Any], name: str) -> Any:
    """Return what an agent's name stands for: an object in one of the shapes of agents.

    Args:
        study: The study; it may declare the agent as a reference to code.
        bound: Agents that were given in Python; they come first.
        name: The agent's name.

    Raises:
        BindingError: nothing has that name, or what it refers to cannot be loaded.
    """
    if name in bound:
        return bound[name]

    declared = study.agents.get(name)
    if declared is not None and declared.call is not None:
        return load_named(study, "agent", name, declared.call)

    packaged = find_packaged_agent(name)
    if packaged is not None:
        return packaged

    known = ", ".join({**bound, **study.agents}) or "none"
    raise BindingError(
        f"no agent is named {name!r} (known: {known}); declare it under `agents:` or pass "
        f"agent_bindings={{{name!r}: ...}}; {where_else('agent', name)}"
    )


def find_problem(known: Mapping[str, Any], name: str) -> Problem:
    """Return the problem of a name: one that is known, else one of a package that is installed.

    Args:
        known: Problems, or mappings with the fields of one, by id.
        name: The problem's id.

    Raises:
        BindingError: there is none, or what is known by that name is not a problem.
        ValidationError: it has fields that a problem cannot have.
    """
    found = known.get(name)
    if isinstance(found, Problem):
        return found

    if isinstance(found, Mapping):
        return _problem(name, {"problem_id": name, **found})

    if hasattr(found, "problem_id") and hasattr(found, "payload"):
        fields = {field: getattr(found, field, None) for field in Problem.model_fields}
        return _problem(name, {key: value for key, value in fields.items() if value is not None})

    if name in known:
        raise BindingError(
            f"problem {name!r} is {found!r}; pass a Problem, or a mapping with the fields of one"
        )

    packaged = find_packaged_problem(name)
    if packaged is not None:
        return packaged

    if not known:
        return Problem(problem_id=name)  # the name says it all: agents know what it means

    raise BindingError(
        f"no problem is named {name!r}; declare it under `problems:` or pass "
        f"problem_registry={{{name!r}: Problem(...)}}; {where_else('problem', name)}"
    )


def _problem(name: str, fields: Mapping[str, Any]) -> Problem:
    try:
        return Problem(**fields)
    except ValidationError as error:
        raise ValidationError(
            [f"problem {name!r} cannot be loaded: {each}" for each in error.errors]
        ) from error


def find_subscriber(study: Study, name: str) -> Subscriber:
    """Return the subscriber that a study names: a reference, or what a package registers.

    Raises:
        BindingError: there is none, or it is not a coroutine function.
    """
    found = load_named(study, "subscriber", name, name, group=SUBSCRIBER_GROUP)
    try:
        return subscription_of(found).subscriber
    except BindingError as error:
        raise BindingError(f"subscriber {name!r}: {error}") from None


def load_named(
    study: Study, kind: str, name: str, reference: Any, *, group: str = EVALUATOR_GROUP
) -> Any:
    """Load the code that a study names: ``module:attr``, or ``file.py:attr`` beside its file.

    A name alone is what an installed package registers. What is not text was declared in Python
    and is the code itself.

    Args:
        study: The study.
        kind: What it is used as, for errors.
        name: What the study calls it, for errors.
        reference: Where it comes from.
        group: The group of entry points that a name alone is looked up in.

    Raises:
        BindingError: it cannot be loaded; the kind and the name of what refers to it.
    """
    if not isinstance(reference, str):
        return reference

    if ":" not in reference:
        registered = load_entry_point(group, reference)
        if registered is None:
            raise BindingError(f"{kind} {name!r}: no installed package registers {reference!r}")

        return registered

    try:
        return load_reference(reference, study.base_dir)
    except (ImportError, AttributeError) as error:
        raise BindingError(f"{kind} {name!r}: {error}") from error


def find_all(
    names: Iterable[str], find: Callable[[str], Found], errors: list[str]
) -> dict[str, Found]:
    """Find everything that is named; what cannot be found is an error each, not the first only."""
    found = {}
    for name in names:
        try:
            found[name] = find(name)
        except ValidationError as error:
            errors += error.errors
        except (PenstockError, ImportError, AttributeError) as error:
            errors.append(str(error))
        except Exception as error:  # noqa: BLE001 - importing a user's module may raise anything
            errors.append(f"{name!r} cannot be loaded: {type(error).__name__}: {error}")

    return found
