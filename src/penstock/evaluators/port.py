"""The port of evaluators: what scores an answer, what an answer is, and what a score may be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, Self, TypeAlias

from penstock._base.json import encode
from penstock.agents.context import RunContext
from penstock.results import Evaluation

__all__ = [
    "ANSWER_KEYS",
    "BoundEvaluator",
    "Evaluator",
    "FieldsAnswer",
    "Scores",
    "TextAnswer",
    "answer_key",
    "answer_of",
]

Scores: TypeAlias = float | Evaluation | Mapping[str, Any] | Sequence[Any] | None
"""What an evaluator may return.

- A number (``bool`` and numpy's included): the metric that has the evaluator's name.
- A mapping from metrics to numbers: a row each.
- A row in full: an `Evaluation`, or a mapping with ``metric_name``, ``metric_value`` (or
  ``value``) and, where wanted, ``metric_unit``, ``aggregation_level`` and ``notes_json``.
- A sequence of these, or an object whose fields are such a mapping.
- None: there is no score.
"""


class Evaluator(Protocol):
    """Scores the answer of a run.

    An ``async def`` function with these two parameters is one. Functions with fewer parameters,
    or others of `penstock.evaluators.functions.PARAMETERS`, become one when a study is bound.
    """

    async def __call__(self, ctx: RunContext, answer: Any) -> Scores:
        """Return the scores of an answer.

        Args:
            ctx: The run that was answered.
            answer: What `answer_of` finds in the run's outputs.
        """
        ...


BoundEvaluator = Callable[[RunContext, Mapping[str, Any]], Awaitable[Sequence[Evaluation]]]
"""An evaluator of a study, ready to score the outputs of a run: rows of ``evaluations.csv``."""

ANSWER_KEYS = ("candidate", "state", "answer", "solution", "final_answer", "x")
"""The outputs that are taken for the answer, the first that is there."""


class TextAnswer(str):
    """An answer that is text; other outputs beside it are read as items: ``answer["steps"]``."""

    __slots__ = ("outputs",)

    outputs: Mapping[str, Any]

    def __new__(cls, text: str, outputs: Mapping[str, Any]) -> Self:  # noqa: D102
        answer = super().__new__(cls, text)
        answer.outputs = outputs
        return answer

    def __getitem__(self, key: Any) -> Any:
        return self.outputs[key] if isinstance(key, str) else super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """Return an output by name, or the default where there is none."""
        return self.outputs.get(key, default)


class FieldsAnswer(dict[str, Any]):
    """An answer of several fields; as text it is their JSON."""

    __slots__ = ()

    def __str__(self) -> str:
        return encode(dict(self))


def answer_key(outputs: Mapping[str, Any]) -> str | None:
    """Return the name of the output that is the answer; None for the one value, or all outputs."""
    key = next((key for key in ANSWER_KEYS if key in outputs), None)
    return "text" if key is None and isinstance(outputs.get("text"), str) else key


def answer_of(outputs: Mapping[str, Any]) -> Any:
    """Find the answer in the outputs of a run: the same for functions and templates of judges.

    It is the output ``candidate``, ``state``, ``answer``, ``solution``, ``final_answer`` or
    ``x``, the first that is there; else the ``text``; else the one ``value`` that an agent
    returned; else all the outputs.
    """
    key = answer_key(outputs)
    if key is not None:
        return TextAnswer(outputs[key], outputs) if key == "text" else outputs[key]

    return outputs["value"] if outputs.keys() == {"value"} else FieldsAnswer(outputs)
