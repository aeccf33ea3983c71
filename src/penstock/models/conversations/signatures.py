"""A function as a tool: its name, its arguments and what reads them, by signature and docstring."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import field, make_dataclass
from enum import Enum
from functools import partial
from typing import Annotated, Any, NamedTuple, get_type_hints

import pydantic

from penstock._base.json import decode
from penstock._base.pydantic_errors import in_one_sentence
from penstock.errors import BindingError
from penstock.models.conversations.docstrings import described

__all__ = ["Signature", "context_parameter"]

_CONTEXT = "ctx"


class Signature(NamedTuple):
    """What a model is told of a function, and what reads the arguments that it gives.

    Args:
        name: The function's name.
        description: What its docstring says of it.
        schema: The JSON schema of its arguments.
        arguments: Reads them.
    """

    name: str
    description: str
    schema: dict[str, Any]
    arguments: pydantic.TypeAdapter[Any]

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Signature:
        """Read the signature and docstring of a function, a method, a partial or a callable object.

        Raises:
            BindingError: the function takes arguments that cannot be given by name, or one of a
                type that JSON cannot hold.
        """
        whole, plain = _unbound(function), _plain(function)
        name = getattr(whole, "__name__", type(whole).__name__)
        said, meanings = described(inspect.cleandoc(plain.__doc__ or inspect.getdoc(whole) or ""))
        try:
            arguments = _arguments_of(name, function, meanings)
            schema = arguments.json_schema()
        except BindingError:
            raise
        except (pydantic.errors.PydanticUserError, NameError, TypeError, ValueError) as error:
            raise BindingError(f"tool {name!r}: its signature cannot be told: {error}") from error

        schema.pop("title", None)
        for each in schema.get("properties", {}).values():
            each.pop("title", None)

        return cls(name, said, schema, arguments)

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Read arguments by the types of the function.

        Models at times write what is to be an object or a list as the text of it, which is read
        where the text itself will not do.

        Raises:
            ValueError: they are not those of the function.
        """
        try:
            return dict(vars(self.arguments.validate_python(given)))
        except pydantic.ValidationError as error:
            wrong = error

        try:
            return dict(vars(self.arguments.validate_python(dict(_unpacked(given)))))
        except pydantic.ValidationError:
            raise ValueError(in_one_sentence(wrong)) from None


def context_parameter(function: Callable[..., Any]) -> str | None:
    """Return the parameter that takes the run; None where there is none.

    It is called ``ctx``, or annotated as a `RunContext`.
    """
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # a function written in C
        return None

    if _CONTEXT in parameters:
        return _CONTEXT

    try:
        hints = get_type_hints(_plain(function))
    except (NameError, TypeError):  # an annotation that is not there while the code runs
        return None

    return next((name for name in parameters if _is_context(hints.get(name))), None)


def _is_context(kind: Any) -> bool:
    """Return whether a type is `RunContext`, whose own module knows of tools."""
    place = getattr(kind, "__module__", None), getattr(kind, "__qualname__", None)
    return place == ("penstock.agents.context", "RunContext")


def _unbound(function: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(function, partial):
        function = function.func

    return function


def _bound(function: Callable[..., Any]) -> set[str]:
    """Return the names of the arguments that a partial gives by itself."""
    names: set[str] = set()
    while isinstance(function, partial):
        names |= function.keywords.keys()
        function = function.func

    return names


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what holds the annotations and the docstring of something that can be called."""
    function = _unbound(function)
    is_routine = inspect.isroutine(function) or hasattr(function, "__wrapped__")
    return function if is_routine or inspect.isclass(function) else type(function).__call__


def _arguments_of(
    name: str, function: Callable[..., Any], meanings: Mapping[str, str]
) -> pydantic.TypeAdapter[Any]:
    """Return what reads the arguments of a function: a dataclass has any names, a model has not."""
    hints = get_type_hints(_plain(function), include_extras=True)
    left_out = {context_parameter(function), *_bound(function)}
    fields: list[Any] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in left_out:
            continue

        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise BindingError(
                f"tool {name!r}: {parameter} cannot be given by name; "
                "wrap it in a function whose arguments can"
            )

        kind = _with_meaning(hints.get(parameter.name, Any), meanings.get(parameter.name))
        fields.append((parameter.name, kind, _field(parameter.default)))

    made: Any = make_dataclass(name, fields, kw_only=True)
    made.__pydantic_config__ = pydantic.ConfigDict(extra="forbid", arbitrary_types_allowed=False)
    return pydantic.TypeAdapter(made)


def _with_meaning(kind: Any, meaning: str | None) -> Any:
    """Add what an argument means: what its annotation says comes before the docstring."""
    notes = getattr(kind, "__metadata__", ())
    if any(getattr(note, "description", None) for note in notes):
        return kind

    meaning = " ".join(note for note in notes if isinstance(note, str)) or meaning
    return Annotated[kind, pydantic.Field(description=meaning)] if meaning else kind


def _field(default: Any) -> Any:
    """Make the field of an argument; each call has a default of its own."""
    if default is inspect.Parameter.empty:
        return field()

    is_plain = isinstance(default, (str, int, float, bool, tuple, Enum, type(None)))
    return field(default=default) if is_plain else field(default_factory=lambda: deepcopy(default))


def _unpacked(given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        found = value
        if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
            try:
                found = decode(value)
            except (ValueError, RecursionError):
                found = value

        yield name, found
