"""Parameters: what of the things that a run has a function asks for, by their names.

Agents and evaluators are called so. It is read from the signature once, before the first run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from inspect import Parameter
from itertools import takewhile
from typing import Any, NamedTuple

__all__ = ["AskedFor", "asked_for", "required"]

_BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)
_VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


class AskedFor(NamedTuple):
    """The names of what a function is given by position, and of what it is given by name."""

    positional: tuple[str, ...]
    named: tuple[str, ...]


def required(parameters: Sequence[Parameter]) -> list[Parameter]:
    """Return the parameters that a function cannot be called without."""
    return [p for p in parameters if p.default is p.empty and p.kind not in _VARIADIC]


def asked_for(
    function: Callable[..., Any],
    parameters: Sequence[Parameter],
    known: Collection[str],
    offered: Collection[str],
) -> AskedFor:
    """Return which of the known names a function asks for.

    Args:
        function: The function. What a `functools.partial` holds by name was chosen by its author
            and is not asked for.
        parameters: Its parameters.
        known: The names that it may ask for.
        offered: Those that a function with ``**kwargs`` is given.
    """
    held = function.keywords if isinstance(function, partial) else {}
    asked = [p for p in parameters if p.name in known and p.name not in held]
    leading = [
        p.name for p in takewhile(lambda p: p.kind in _BY_POSITION and p in asked, parameters)
    ]
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        named = [name for name in offered if name not in held and name not in leading]
    else:
        named = [p.name for p in asked if p.name not in leading and p.kind in _BY_NAME]

    return AskedFor(tuple(leading), tuple(named))
