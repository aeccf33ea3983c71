"""What a name stands for that neither a study nor its caller declares: in installed packages.

A package registers one agent or problem under the name that studies use (``penstock.agents``,
``penstock.problems``), or a resolver that finds many by name (``penstock.resolvers``). Both are
asked only for names that nothing else stands for, so that a study that declares all it names runs
the same whatever is installed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Protocol

from penstock._base.entry_points import entry_point_names, load_entry_point
from penstock.errors import BindingError
from penstock.study.problem import Problem

__all__ = ["Kind", "Resolver", "find_agent", "find_problem", "where_else"]

Kind = Literal["agent", "problem"]

_RESOLVERS = "penstock.resolvers"


class Resolver(Protocol):
    """Finds the agents or problems of a package by name; a module with two functions is one."""

    def find(self, kind: Kind, name: str) -> Any | None:
        """Return the agent or `Problem` of a name; None where the package has none of that name.

        Raises:
            BindingError: the package has it, or should, and it cannot be loaded.
        """

    def where_else(self, kind: Kind) -> str:
        """Return, for an error, where else such a name could come from, or ``""``."""


def find_agent(name: str) -> Any | None:
    """Return the agent that an installed package has under a name, None where none has.

    Raises:
        BindingError: a package has it and cannot be imported.
    """
    return _find("agent", name)


def find_problem(problem_id: str) -> Problem | None:
    """Return the problem that an installed package has under an id, None where none has.

    Raises:
        BindingError: a package has it and cannot be imported, or it is not a `Problem`.
    """
    found = _find("problem", problem_id)
    if found is None or isinstance(found, Problem):
        return found

    made = found() if callable(found) else found
    if not isinstance(made, Problem):
        raise BindingError(
            f"problem {problem_id!r} is registered by an installed package as {found!r}, which is "
            "neither a Problem nor a function that returns one"
        )

    return made


def where_else(kind: Kind, name: str) -> str:
    """Return, for an error, what installed packages offer in place of an unknown name.

    Args:
        kind: What is looked for.
        name: Its name.
    """
    said = [told for resolver in _resolvers() if (told := resolver.where_else(kind))]
    if names := entry_point_names(_group(kind)):
        said.insert(0, f"installed packages register the {kind}s {', '.join(names)}")

    return "; ".join(said) or f"no installed package registers {kind} {name!r}"


def _find(kind: Kind, name: str) -> Any | None:
    registered = load_entry_point(_group(kind), name)
    if registered is not None:
        return registered

    found = (resolver.find(kind, name) for resolver in _resolvers())
    return next((each for each in found if each is not None), None)


def _group(kind: Kind) -> str:
    return f"penstock.{kind}s"


def _resolvers() -> Iterator[Resolver]:
    for name in entry_point_names(_RESOLVERS):
        resolver = load_entry_point(_RESOLVERS, name)
        if resolver is not None:
            yield resolver
