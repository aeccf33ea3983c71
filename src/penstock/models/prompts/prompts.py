"""Prompts: templates of what a model is told, filled in for each run; an unknown name is an error.

Templates are Jinja's, in its sandbox: a study file can fill in and repeat text, and reaches
nothing else. In scope are ``problem`` (``id``, ``family``, ``brief``, ``payload``, ``metadata``,
and each key of the payload), ``condition`` (factors and blocks), ``run`` (``seed``,
``replicate``, ``attempt``, ``run_id``, ``agent_id``) and, for a judge, ``answer`` and ``outputs``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from penstock._base.json import encode
from penstock.errors import RunFault, message_of
from penstock.planning.plan import RunSpec
from penstock.study.conditions import Condition
from penstock.study.problem import Problem

__all__ = ["PromptError", "Template", "scope_of", "stand_in_answer"]


class PromptError(RunFault, ValueError):
    """A template that cannot be filled in for a run; another attempt would end alike."""

    retryable = False


class _Names:
    """Values by name, read as attributes or items; unlike a ``dict`` it has no other names."""

    __slots__ = ("_kind", "_values")

    def __init__(self, kind: str, values: Mapping[str, Any]) -> None:
        self._kind = kind
        self._values = values

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(name) from None

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __str__(self) -> str:
        return encode(dict(self._values))

    def __repr__(self) -> str:
        return f"{self._kind} has: {', '.join(self._values) or 'nothing'}"


class _Unknown(jinja2.StrictUndefined):
    """A name that is not there: any use of it is an error that lists those that are."""

    @property
    def _undefined_message(self) -> str:
        name, owner = self._undefined_name, self._undefined_obj
        if self._undefined_hint:
            return self._undefined_hint

        if isinstance(owner, _Names):
            return f"{name!r} is unknown; {owner!r}"

        if isinstance(owner, Mapping):
            return f"{name!r} is unknown; there is: {', '.join(map(str, owner)) or 'nothing'}"

        is_top = owner is jinja2.utils.missing
        return f"{name!r} is unknown" if is_top else f"{type(owner).__name__} has no {name!r}"


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=_Unknown, autoescape=False, keep_trailing_newline=True
    )
    # What a run is told follows from its condition, problem and seed, not from a die.
    del environment.filters["random"]
    environment.filters["tojson"] = encode  # Jinja's own writes `<` as HTML wants it
    for name in ("lipsum", "cycler", "joiner"):
        del environment.globals[name]

    return environment


_ENVIRONMENT = _environment()
_ALONE = re.compile(r"\s*\{\{[-+]?((?:(?!\{\{|\}\}).)*?)[-+]?\}\}\s*", re.DOTALL)


class Template:
    """A text with places that are filled in for each run.

    Args:
        source: The text; one without ``{{`` and ``{%`` is taken as it is.

    Raises:
        PromptError: it is not a template.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self._compiled: jinja2.Template | None = None
        self._expression: Any = None
        if any(mark in source for mark in ("{{", "{%", "{#")):
            try:
                self._compiled = _ENVIRONMENT.from_string(source)
                alone = _ALONE.fullmatch(source)
                if alone is not None:
                    self._expression = _ENVIRONMENT.compile_expression(
                        alone[1], undefined_to_none=False
                    )
            except jinja2.TemplateError as error:
                line = getattr(error, "lineno", None)
                place = f" (line {line})" if line and "\n" in source else ""
                raise PromptError(f"is not a template{place}: {error}") from None

    @property
    def is_fixed(self) -> bool:
        """Whether the text is the same in every run."""
        return self._compiled is None

    def value(self, scope: Mapping[str, Any]) -> Any:
        """Return what the text stands for: where it is one expression alone, that one's value.

        So a level that is a number, a flag or null stays what it is.

        Raises:
            PromptError: a name is unknown, or an expression fails.
        """
        if self._compiled is None:
            return self.source

        if self._expression is None:
            return self.render(scope)

        try:
            value = self._expression(scope)
            if isinstance(value, jinja2.Undefined):
                str(value)  # raises its own sentence

            return str(value) if isinstance(value, _Names) else value
        except Exception as error:
            raise PromptError(message_of(error)) from error

    def unknown_names(self, known: Mapping[str, Any]) -> list[str]:
        """List the names that are not in scope, in branches too that a rendering does not take."""
        from jinja2 import meta  # noqa: PLC0415 - used when a study is checked, and never again

        if self._compiled is None:
            return []

        used = meta.find_undeclared_variables(_ENVIRONMENT.parse(self.source))
        return sorted(used - known.keys() - _ENVIRONMENT.globals.keys())

    def reads(self, name: str) -> frozenset[str] | None:
        """Return which fields of a name in scope the text reads; None where it takes it whole.

        Branches that a rendering does not take count too.
        """
        from jinja2 import nodes  # noqa: PLC0415 - used when a study is checked, and never again

        if self._compiled is None:
            return frozenset()

        tree = _ENVIRONMENT.parse(self.source)
        fields = [
            *((node.node, node.attr) for node in tree.find_all(nodes.Getattr)),
            *(
                (node.node, node.arg.value)
                for node in tree.find_all(nodes.Getitem)
                if isinstance(node.arg, nodes.Const)
            ),
        ]
        read = [
            str(field)
            for owner, field in fields
            if isinstance(owner, nodes.Name) and owner.name == name
        ]
        named = sum(node.name == name for node in tree.find_all(nodes.Name))
        return frozenset(read) if len(read) == named else None

    def render(self, scope: Mapping[str, Any]) -> str:
        """Fill in the text.

        Args:
            scope: The values by name (see `scope_of`).

        Raises:
            PromptError: a name is unknown, or an expression fails.
        """
        if self._compiled is None:
            return self.source

        try:
            return self._compiled.render(scope)
        except Exception as error:
            raise PromptError(message_of(error)) from error


def scope_of(
    spec: RunSpec, problem: Problem, condition: Condition, attempt: int = 1, **others: Any
) -> dict[str, Any]:
    """Gather what a template may name in a run.

    Args:
        spec: The run.
        problem: What is to be solved.
        condition: Its treatment combination.
        attempt: Which try it is, from 1.
        others: Further names; for a judge ``answer`` and ``outputs``.
    """
    return {
        "problem": _Names(
            "problem",
            {
                **problem.payload,
                "id": problem.problem_id,
                "problem_id": problem.problem_id,
                "family": problem.family,
                "brief": problem.brief,
                "payload": problem.payload,
                "metadata": problem.metadata,
            },
        ),
        "condition": _Names(
            "condition", {**condition.factor_assignments, **condition.block_assignments}
        ),
        "run": _Names(
            "run",
            {
                "seed": spec.seed,
                "replicate": spec.replicate,
                "attempt": attempt,
                "run_id": spec.run_id,
                "agent_id": spec.agent_id,
                "problem_id": spec.problem_id,
                "condition_id": spec.condition_id,
            },
        ),
        **others,
    }


class _AnyText(str):
    """An empty text that has any item."""

    __slots__ = ()

    def __getitem__(self, key: Any) -> Any:
        return jinja2.ChainableUndefined() if isinstance(key, str) else super().__getitem__(key)


def stand_in_answer() -> dict[str, Any]:
    """Return what stands for an answer while a study is checked: all that is read is empty."""
    return {"answer": _AnyText(), "outputs": jinja2.ChainableUndefined()}
