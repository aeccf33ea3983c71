"""What is to be solved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, field_serializer

from penstock._base.fact import EMPTY, Declaration, JsonMapping, Name, Text
from penstock._base.frozen import frozen_json
from penstock.errors import UnstableValueError
from penstock.study.references import reference_to

__all__ = ["Problem"]


def _frozen_where_json(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        frozen: Mapping[str, Any] = frozen_json(payload)
    except UnstableValueError:
        return payload  # a native object is its owner's; it is handed to agents as it is

    return frozen


class Problem(Declaration):
    """One problem: what an agent is told of it, and how its answer is scored.

    Args:
        problem_id: Its name in the study.
        family: The group of problems it belongs to.
        brief: What an agent is told, as text.
        payload: What else an agent needs; ``payload["expected"]`` is the right answer where
            there is one, which the built-in evaluators compare with.
        evaluator: A function that scores an answer, or ``module:attr`` in a file.
    """

    problem_id: Name
    family: Text = "unknown"
    brief: Text = ""
    payload: Annotated[Mapping[str, Any], AfterValidator(_frozen_where_json)] = EMPTY
    metadata: JsonMapping = EMPTY
    evaluator: Callable[..., Any] | Text | None = Field(default=None, repr=False)

    @field_serializer("evaluator")
    def _evaluator_reference(self, evaluator: Callable[..., Any] | str | None) -> str | None:
        if evaluator is None or isinstance(evaluator, str):
            return evaluator

        return reference_to(evaluator)
