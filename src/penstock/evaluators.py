"""Evaluators: functions that score an answer, built-in ones among them.

An evaluator is a function of the answer; it may also ask by name for any of `PARAMETERS`. It
returns a number, a mapping from metric to number, an `Evaluation`-like mapping with
``metric_name`` and ``metric_value``, or a sequence of those; ``async def`` works too.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from penstock._base.json import encode
from penstock.agents.context import RunContext
from penstock.errors import BindingError
from penstock.results import Evaluation
from penstock.study.declarations import (
    ContainsOptions,
    EvaluatorDeclaration,
    ExactOptions,
    NumberOptions,
    RegexOptions,
)
from penstock.study.problem import Problem

__all__ = ["PARAMETERS", "BoundEvaluator", "bind_evaluator", "built_in_evaluator"]

BoundEvaluator = Callable[[RunContext, Mapping[str, Any]], Awaitable[Sequence[Evaluation]]]
Score = Callable[[str, Problem], bool]

_ANSWER_KEYS = ("candidate", "state", "answer", "solution", "final_answer", "x")

PARAMETERS: Mapping[str, Callable[[RunContext, Mapping[str, Any]], Any]] = {
    "outputs": lambda _, outputs: outputs,
    "problem": lambda ctx, _: ctx.problem,
    "condition": lambda ctx, _: ctx.condition,
    "run_spec": lambda ctx, _: ctx.spec,
    "seed": lambda ctx, _: ctx.seed,
    "rng": lambda ctx, _: ctx.stream("evaluator"),
}
"""Parameters an evaluator may ask for by name, beside its first one, the answer."""


def bind_evaluator(name: str, function: Callable[..., Any]) -> BoundEvaluator:
    """Decide how an evaluator is called.

    Args:
        name: The evaluator's name, for its rows and for errors.
        function: The evaluator.

    Raises:
        BindingError: it cannot be called with what an evaluator may ask for.
    """
    asked = _asked_for(name, function)

    async def evaluate(ctx: RunContext, outputs: Mapping[str, Any]) -> Sequence[Evaluation]:
        named = {parameter: PARAMETERS[parameter](ctx, outputs) for parameter in asked}
        scores = function(_answer(outputs), **named)
        if inspect.isawaitable(scores):
            scores = await scores

        return tuple(_rows(scores, ctx.spec.run_id, name))

    return evaluate


def _asked_for(name: str, function: Callable[..., Any]) -> tuple[str, ...]:
    if not callable(function):
        raise BindingError(f"evaluator {name!r} is {function!r}, which cannot be called")

    try:
        _, *others = inspect.signature(function).parameters.values()
    except ValueError:
        raise BindingError(
            f"evaluator {name!r} must take the answer as its first parameter"
        ) from None

    needed = [p for p in others if p.default is p.empty and p.kind not in _VARIADIC]
    unknown = [p.name for p in needed if p.name not in PARAMETERS]
    if unknown:
        raise BindingError(
            f"evaluator {name!r} asks for {', '.join(unknown)}; after the answer an evaluator "
            f"may ask for: {', '.join(PARAMETERS)}"
        )

    if any(p.kind is p.VAR_KEYWORD for p in others):
        return tuple(PARAMETERS)

    return tuple(p.name for p in others if p.name in PARAMETERS)


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _answer(outputs: Mapping[str, Any]) -> Any:
    return next((outputs[key] for key in _ANSWER_KEYS if key in outputs), outputs)


def _rows(scores: Any, run_id: str, evaluator_id: str) -> Iterator[Evaluation]:
    if scores is None:
        return

    if isinstance(scores, Evaluation):
        yield scores.model_copy(update={"run_id": run_id})
    elif isinstance(scores, (list, tuple)):
        for score in scores:
            yield from _rows(score, run_id, evaluator_id)
    elif (value := _number(scores)) is not None:
        yield Evaluation(run_id=run_id, evaluator_id=evaluator_id, metric_value=value)
    else:
        yield from _rows_of_mapping(_as_mapping(scores), run_id, evaluator_id)


def _rows_of_mapping(
    scores: Mapping[str, Any], run_id: str, evaluator_id: str
) -> Iterator[Evaluation]:
    if scores.keys() & {"metric_name", "metric_value", "value"}:
        known = {name: scores[name] for name in _TEXTS if scores.get(name) is not None}
        value = scores.get("metric_value", scores.get("value"))
        notes = scores.get("notes_json", {})
        yield Evaluation(
            **{"evaluator_id": evaluator_id, **known},
            run_id=run_id,
            metric_value=value if (number := _number(value)) is None else number,
            notes_json=notes if isinstance(notes, str) else encode(notes, "evaluation.notes_json"),
        )
        return

    for metric, value in scores.items():
        if metric != "higher_is_better" and (number := _number(value)) is not None:
            yield Evaluation(
                run_id=run_id, evaluator_id=evaluator_id, metric_name=metric, metric_value=number
            )


_TEXTS = ("evaluator_id", "metric_name", "metric_unit", "aggregation_level")


def _number(value: Any) -> float | int | bool | None:
    if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0:
        value = value.item()

    return value if isinstance(value, (bool, int, float)) else None


def _as_mapping(scores: Any) -> Mapping[str, Any]:
    if isinstance(scores, Mapping):
        return scores

    if is_dataclass(scores) and not isinstance(scores, type):
        return asdict(scores)

    for method in ("model_dump", "to_dict"):
        if callable(getattr(scores, method, None)):
            mapping: Mapping[str, Any] = getattr(scores, method)()
            return mapping

    try:
        return {**vars(scores)}
    except TypeError:
        raise BindingError(
            f"an evaluator returned {scores!r}; return a number, or a mapping of metrics to numbers"
        ) from None


def built_in_evaluator(name: str, declared: EvaluatorDeclaration) -> BoundEvaluator:
    """Make a built-in evaluator; it compares text with ``problem.payload["expected"]``.

    Its metric has the evaluator's name, and is 1.0 for a right answer, else 0.0.
    """
    score = _score(declared)

    async def evaluate(ctx: RunContext, outputs: Mapping[str, Any]) -> Sequence[Evaluation]:
        answer = _answer(outputs)
        if isinstance(answer, Mapping):
            answer = answer.get("text", answer)

        text = answer if isinstance(answer, str) else encode(answer)
        right = score(text, ctx.problem)
        return (
            Evaluation(
                run_id=ctx.spec.run_id,
                evaluator_id=name,
                metric_name=name,
                metric_value=float(right),
            ),
        )

    return evaluate


def _score(declared: EvaluatorDeclaration) -> Score:
    match declared:
        case EvaluatorDeclaration(exact=ExactOptions() as options):
            return _exact(options)
        case EvaluatorDeclaration(contains=ContainsOptions() as options):
            return _contains(options)
        case EvaluatorDeclaration(regex=RegexOptions() as options):
            return _regex(options)
        case EvaluatorDeclaration(number=NumberOptions() as options):
            return _number_score(options)

    raise BindingError(f"{declared!r} names no built-in evaluator")


def _expected(problem: Problem) -> str:
    try:
        return str(problem.payload["expected"])
    except KeyError:
        raise BindingError(
            f"problem {problem.problem_id!r} has no expected answer to compare with; "
            "give it payload.expected, or name the column: `problems: {expected: ...}`"
        ) from None


def _exact(options: ExactOptions) -> Score:
    fold = str.casefold if options.ignore_case else str
    return lambda answer, problem: fold(answer.strip()) == fold(_expected(problem).strip())


def _contains(options: ContainsOptions) -> Score:
    fold = str.casefold if options.ignore_case else str
    return lambda answer, problem: fold(_expected(problem)) in fold(answer)


def _regex(options: RegexOptions) -> Score:
    flags = re.IGNORECASE if options.ignore_case else re.NOFLAG
    if options.pattern is not None:
        compiled = re.compile(options.pattern, flags)
        return lambda answer, _: compiled.search(answer) is not None

    return lambda answer, problem: re.search(_expected(problem), answer, flags) is not None


def _number_score(options: NumberOptions) -> Score:
    pattern = re.compile(options.pattern)

    def score(answer: str, problem: Problem) -> bool:
        expected = _parse_number(_expected(problem))
        if expected is None:
            raise BindingError(
                f"problem {problem.problem_id!r}: the expected answer "
                f"{_expected(problem)!r} is not a number"
            )

        *_, last = [None, *pattern.finditer(answer)]
        found = None if last is None else _parse_number(last[last.lastindex or 0])
        return found is not None and abs(found - expected) <= options.tolerance

    return score


_NUMBER = re.compile(
    r"(?P<sign>[-+\u2212]?)\s?[$\u20ac\xa3\xa5]?\s?"
    r"(?P<digits>(?:\d{1,3}(?:[ \xa0\u202f]\d{3})+(?!\d)|\d[\d,_]*)(?:\.\d+)?|\.\d+)"
    r"(?P<exponent>[eE][-+]?\d+)?"
)


def _parse_number(text: str) -> float | None:
    """Read the last number of a text, as people write it: ``$1,234.50``, ``-3``, ``1 000 EUR``."""
    found = list(_NUMBER.finditer(text))
    if not found:
        return None

    last = found[-1]
    sign = "-" if last["sign"] in ("-", "\u2212") else ""
    digits = re.sub(r"[^\d.]", "", last["digits"])
    return float(f"{sign}{digits}{last['exponent'] or ''}")
